"""The steps of a rehearsal.

Each step is a method. The first line of its docstring is its title, which states what
the step shows. Titles are printed with durations. The first LocalError ends the
rehearsal.
"""

import base64
import io
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import Any

import zxingcpp
from PIL import Image
from samcli.yamlhelper import yaml_parse

from checks import keys
from local.http import Answer
from local.processes import wait_until
from local.project import EVENTS, ROOT, architecture
from rehearsal.checks import check, expect
from rehearsal.deployment import Deployment
from rehearsal.servers import (
    REGION,
    Cache,
    Certificate,
    Database,
    Emulator,
    debian_tools,
)
from rehearsal.upgrade import Upgrade, has_release

FIRST_URL_SECONDS, LATER_URL_SECONDS = 5, 600
POSTS_AT_ONCE, POSTS_A_SECOND = 5, 2
LIMITS = {"GenerateBurstLimit": POSTS_AT_ONCE, "GenerateRateLimit": POSTS_A_SECOND}
SCHEDULE = {"CleanupSchedule": "rate(1 minute)"}
# Of each deployment after the first.
LATER: dict[str, str | int] = {
    "UrlTtlSeconds": LATER_URL_SECONDS,
    "ProtectDatabase": "true",
}
FUNCTIONS = ("Generate", "Retrieve", "Redirect", "Manage", "Cleanup", "Migrate")
WITH_CACHE = FUNCTIONS[:-1]
PUBLIC_URL = "https://qr.example.org"
JSON = {"Accept": "application/json"}
# Static secrets, recognized by their name or by their value.
SECRET_NAME = re.compile(r"password|secret|token|private|credential", re.IGNORECASE)
SECRET_VALUE = re.compile(r"//[^/@]*:[^/@]*@|A[KS]IA[A-Z0-9]{16}|PRIVATE KEY")


def _results(answer: Answer) -> list[dict[str, Any]]:
    """Return the results of a batch."""
    expect(answer, 200)
    found: list[dict[str, Any]] = answer.json["results"]
    return found


def refused(answer: Answer, reason: str) -> None:
    """Raise LocalError unless S3 refused a request for this reason."""
    body = answer.body.decode(errors="replace")
    check(answer.status == 403 and reason in body, f"not 403 {reason}: {answer}")


class Rehearsal:
    """The servers, the stack, and the results of the steps so far."""

    def __init__(self, folder: Path) -> None:
        tools = debian_tools()
        self.tls = Certificate(folder)
        self.trusted = folder / "trusted.pem"  # authorities that the functions trust
        self.database = Database(folder / "postgresql", tools, self.tls)
        self.database_eu = Database(folder / "postgresql-eu", tools, self.tls)
        self.cache = Cache(folder / "redis", tools, self.tls)
        databases = [self.database, self.database_eu]
        caches = [self.cache, Cache(folder / "redis-eu", tools, self.tls)]
        self.has_release = has_release()
        if self.has_release:
            databases.append(Database(folder / "postgresql-v1", tools, self.tls))
            caches.append(Cache(folder / "redis-v1", tools, self.tls))
        self.emulator = Emulator(
            folder / "emulator",
            self.tls,
            self.trusted,
            databases,
            caches,
        )
        self.servers = [*databases, *caches, self.emulator]
        self.deployment = Deployment(folder, self.tls, self.emulator, "prod")
        self.deployment_eu = Deployment(folder, self.tls, self.emulator, "prodeu")
        self.upgraded = Upgrade(
            Deployment(folder, self.tls, self.emulator, "upgraded"), folder / "v1"
        )
        self.call = self.deployment.call
        self.texts: list[str] = []  # payloads, which no log may contain
        self.first = self.second = ""  # ids of codes
        self.url = ""  # of the first code's image
        self.url_expires = 0.0

    def steps(self) -> list[Callable[[], None]]:
        """Return the steps in their order."""
        return [
            self.start,
            self.validate,
            self.build,
            self.deploy,
            self.answer_at_once,
            self.hold_no_secret,
            self.may_connect_to_the_cache,
            self.describe_itself,
            self.require_a_key,
            self.generate,
            self.retrieve,
            self.download,
            self.include,
            self.generate_batch,
            self.refuse_wrong_signatures,
            self.refuse_without_tls,
            self.refuse_after_expiry,
            self.manage,
            self.scan,
            self.throttle,
            self.update,
            self.release,
            self.verify,
            self.stand_beside_another_stage,
            *(self.upgraded.steps() if self.has_release else ()),
            self.clean_up_on_schedule,
            self.clean_up_by_hand,
            self.distrust,
            self.log_no_payload,
            self.delete,
        ]

    def stop(self) -> None:
        """Stop all servers."""
        for server in reversed(self.servers):
            server.stop()

    # ------------------------------------------------------------------ deployment

    def start(self) -> None:
        """PostgreSQL and Redis answer over TLS, and the emulator enforces IAM."""
        self.tls.create()
        self.trusted.write_text(self.tls.certificate.read_text())
        for server in self.servers:
            server.prepare()
        for server in self.servers:
            server.start()

    def validate(self) -> None:
        """The template is valid (sam validate --lint)."""
        self.deployment.sam("validate", "--lint", offline=True)

    def build(self) -> None:
        """Functions and layers are built for this machine (sam build)."""
        to = ("--build-dir", str(self.deployment.build), "--no-cached")
        override = ("--parameter-overrides", f"Architecture={architecture()}")
        self.deployment.sam("build", *to, *override, offline=True)

    def deploy(self) -> None:
        """The stack is created, its schema by the custom resource (sam deploy)."""
        self.deployment.deploy(
            UrlTtlSeconds=FIRST_URL_SECONDS,
            PublicUrl=PUBLIC_URL,
            PermissionsBoundaryArn=self.boundary(),
            **LIMITS,
            **SCHEDULE,
        )
        tables = self.database.execute("SELECT to_regclass('public.qr_codes')")
        check(tables[0][0], "The migrations created no table of codes.")
        (database,) = self.deployment.client("rds").describe_db_instances()[
            "DBInstances"
        ]
        check(
            not database["DeletionProtection"],
            "A first deployment that fails could not be deleted.",
        )

    def answer_at_once(self) -> None:
        """The first requests succeed: functions waited for the proxy's targets."""
        for request in (
            self.call("GET", "/health"),
            self.post("the first request", "?dry_run=true"),
        ):
            expect(request, 200)
        # Here the targets exist at once; on AWS they take minutes.
        events = self.deployment.client("cloudformation").get_paginator(
            "describe_stack_events"
        )
        order = [
            (event["LogicalResourceId"], event["ResourceStatus"])
            for page in events.paginate(StackName=self.deployment.stack_name)
            for event in page["StackEvents"]
        ][::-1]  # the oldest first
        ready = order.index(("DatabaseProxyTargets", "CREATE_COMPLETE"))
        for function in WITH_CACHE:
            begun = order.index((f"{function}Function", "CREATE_IN_PROGRESS"))
            check(ready < begun, f"{function}Function did not wait for the targets.")

    def hold_no_secret(self) -> None:
        """Parameters, outputs and variables hold no password, secret or static key."""
        stack = self.deployment.stack
        named = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        named |= {
            each["ParameterKey"]: each["ParameterValue"] for each in stack["Parameters"]
        }
        for function in FUNCTIONS:
            named |= {
                f"{function}Function {name}": value
                for name, value in self.environment(function).items()
            }
        for name, value in named.items():
            guilty = SECRET_NAME.search(name) or SECRET_VALUE.search(value)
            check(not guilty, f"{name} looks like a static secret.")
            check(self.deployment.api_key not in value, f"{name} contains the API key.")
        kept = self.deployment.client("secretsmanager").list_secrets()["SecretList"]
        check(not kept, f"Secrets Manager contains secrets: {kept}")

    def may_connect_to_the_cache(self) -> None:
        """Roles that use the cache may connect (iam simulate-principal-policy)."""
        cache = self.environment("Retrieve")["REDIS_CACHE_NAME"]
        user = self.environment("Retrieve")["REDIS_USERNAME"]
        # Redis itself accepts any token.
        account = self.deployment.stack["StackId"].split(":")[4]
        owner = f"arn:aws:elasticache:{REGION}:{account}"
        iam = self.deployment.client("iam")
        for function, resource in product(
            WITH_CACHE,
            (f"{owner}:serverlesscache:{cache}", f"{owner}:user:{user}"),
        ):
            # The emulator evaluates only the first resource of a request.
            found = iam.simulate_principal_policy(
                PolicySourceArn=self.configuration(function)["Role"],
                ActionNames=["elasticache:Connect"],
                ResourceArns=[resource],
            )
            (result,) = found["EvaluationResults"]
            allowed = result["EvalDecision"] == "allowed"
            check(allowed, f"{function}Function may not connect to {resource}.")

    # ------------------------------------------------------------------ life of a code

    def describe_itself(self) -> None:
        """GET / is the studio, GET /docs the API, with the address of this stage."""
        for path in ("/", "/docs"):
            page = self.call("GET", path)
            expect_page = page.status == 200 and page.headers["Content-Type"]
            check(expect_page == "text/html; charset=utf-8", f"GET {path}: {page}")
            policy = page.headers["Content-Security-Policy"] or ""
            check("script-src 'sha256-" in policy, f"GET {path} admits {policy}.")
            cached = page.headers["Cache-Control"]
            check(cached == "public, max-age=300", f"GET {path} is cached: {cached}")
        document = self.call("GET", "/openapi.json")
        (server,) = document.json["servers"]
        check(server["url"].endswith(f"/{self.deployment.stage}"), str(server))
        tag = {"If-None-Match": document.headers["ETag"] or ""}
        again = self.call("GET", "/openapi.json", headers=tag)
        check(again.status == 304, f"With the ETag: {again.status}")

    def require_a_key(self) -> None:
        """POST /generate without a key, or with a wrong one: 403."""
        for headers in ({}, {"X-Api-Key": "no-such-key"}):
            answer = self.call("POST", "/generate", {"data": "no key"}, headers)
            expect(answer, 403, code="forbidden")

    def generate(self) -> None:
        """POST /generate: 201, and the code is in S3, PostgreSQL and the cache."""
        expect(self.call("GET", "/health"), 200, database="ok", cache="ok")
        self.first = self.create()
        check(self.keys() == [f"codes/{self.first}.png"], f"Keys in S3: {self.keys()}")
        cached = self.cache.execute("EXISTS", f"qr:{self.first}")
        check(cached, "The code is not in the cache.")

    def retrieve(self) -> None:
        """GET /retrieve/ID: 200 from the cache, with a URL that expires soon."""
        hits = self.hits()
        answer = self.call("GET", f"/retrieve/{self.first}")
        expect(answer, 200)
        check(self.hits() == hits + 1, "The code did not come from the cache.")
        self.url = answer.json["qr_code"]
        self.url_expires = moment(answer.json["url_expires_at"])
        life = self.url_expires - time.time()
        check(life <= FIRST_URL_SECONDS, f"The URL is valid for {life:.0f} s.")

    def download(self) -> None:
        """The presigned URL returns an image, from which zxing-cpp reads the text."""
        answer = self.call("GET", self.url)
        expect(answer, 200)
        found = zxingcpp.read_barcodes(Image.open(io.BytesIO(answer.body)))
        read = [each.bytes.decode() for each in found]
        check(read == [self.texts[0]], f"Read {read} instead of {self.texts[0]!r}.")

    def include(self) -> None:
        """The answer includes a PDF of a contact, and so does its replay, from S3."""
        self.texts.append(f"Jane {secrets.token_hex(12)}")
        content = {"type": "vcard", "name": self.texts[-1]}
        body = {"content": content, "format": "pdf", "size_mm": 30, "label": "Card"}
        key = {"X-Api-Key": self.deployment.api_key, "Idempotency-Key": "included"}
        made, again = (
            self.call("POST", "/generate?include=image", body, key) for _ in range(2)
        )
        for answer in (made, again):
            expect(answer, 201, width_mm=30)
        check(again.headers["Idempotency-Replayed"] == "true", "No replay.")
        check(made.json == again.json, "The replay has another answer.")
        found = self.call("GET", f"/retrieve/{made.json['qr_id']}")
        file = self.call("GET", found.json["qr_code"])
        kind, _, text = made.json["image"].partition(";base64,")
        check(kind == "data:application/pdf", f"The answer includes {kind}.")
        check(base64.b64decode(text) == file.body, "It is not the stored file.")
        name = file.headers["Content-Disposition"]
        check(name == 'inline; filename="Card.pdf"', f"The file is {name}.")

    def generate_batch(self) -> None:
        """A batch of 100: the bad items are refused, the others made, once."""
        texts = [f"https://example.com/{secrets.token_hex(12)}" for _ in range(97)]
        self.texts += texts
        items: list[dict[str, Any]] = [{"data": text} for text in texts]
        items[10:10] = [{}, {"data": texts[0], "width": 9}, {"data": "x" * 3000}]
        named = [{"ref": f"{number}", **item} for number, item in enumerate(items)]
        body = {"defaults": {"expiration_hours": 1}, "items": named}
        refused(self.call("POST", "/generate/batch", body), "forbidden")
        key = {"X-Api-Key": self.deployment.api_key, "Idempotency-Key": "a batch"}
        before = len(self.keys())
        made, again = (
            self.call("POST", "/generate/batch", body, key) for _ in range(2)
        )
        for first, second in zip(*map(_results, (made, again)), strict=True):
            good = first["ref"] not in ("10", "11", "12")
            expected = (201,) if good else (400, 422)
            check(first["status"] in expected, f"The item is {first}.")
            if good:
                check(second == {**first, "replayed": True}, f"No replay: {second}.")
        added = len(self.keys()) - before
        check(added == len(texts), f"{added} images were added.")
        found = self.call("GET", f"/retrieve/{_results(made)[-1]['qr_id']}")
        image = self.call("GET", found.json["qr_code"])
        read = zxingcpp.read_barcode(Image.open(io.BytesIO(image.body)))
        check(read and read.text == texts[-1], f"Read {read}.")

    def refuse_wrong_signatures(self) -> None:
        """A URL with a changed signature, or without one: 403."""
        signed, _, signature = self.url.partition("X-Amz-Signature=")
        other = signature.translate(
            str.maketrans("0123456789abcdef", "123456789abcdef0")
        )
        tampered = self.call("GET", f"{signed}X-Amz-Signature={other}")
        refused(tampered, "SignatureDoesNotMatch")
        refused(self.call("GET", self.url.partition("?")[0]), "AccessDenied")

    def refuse_without_tls(self) -> None:
        """The bucket's policy refuses the URL over plain HTTP: 403."""
        answer = self.call("GET", self.url, port=self.emulator.plain_port)
        check(
            time.time() < self.url_expires, "This machine is too slow: the URL expired."
        )
        refused(answer, "AccessDenied")

    def refuse_after_expiry(self) -> None:
        """The expired URL: 403."""
        time.sleep(max(0.0, self.url_expires + 0.5 - time.time()))
        refused(self.call("GET", self.url), "expired")

    def manage(self) -> None:
        """A code is listed, changed and ended by its key, and given to another one."""
        code = self.create()
        path = f"/codes/{code}"
        for route in ("/codes", path):
            expect(self.call("GET", route), 403, code="forbidden")
        key = {"X-Api-Key": self.deployment.api_key}
        listed = self.call("GET", "/codes?limit=1", headers=key)
        expect(listed, 200)
        newest = [each["qr_id"] for each in listed.json["codes"]]
        check(newest == [code], f"The newest code is {newest}.")
        tag = self.call("GET", path, headers=key).headers["ETag"] or ""
        body = {"label": "rehearsed", "expiration_hours": 0.5}
        expect(self.call("PATCH", path, body, key), 428, code="precondition_required")
        changed = self.call("PATCH", path, body, {**key, "If-Match": tag})
        expect(changed, 200, label="rehearsed")
        found = self.call("GET", f"/retrieve/{code}")
        expect(found, 200, expires_at=changed.json["expires_at"])
        aws, stack = self.deployment.client, self.deployment.stack_name
        second, value = keys.create(aws, stack, "second")
        other = {"X-Api-Key": value}
        wait_until(lambda: self.call("GET", "/codes", headers=other).status == 200, 10)
        expect(self.call("GET", path, headers=other), 404, code="not_found")
        first = self.deployment.outputs["ApiKeyId"]
        keys.transfer(aws, stack, first, second)
        expect(self.call("GET", path, headers=key), 404, code="not_found")
        key = other
        expect(self.call("DELETE", path, headers=key), 204)
        expect(self.call("GET", f"/retrieve/{code}"), 410, code="expired")
        check(f"codes/{code}.png" not in self.keys(), "The image is still there.")
        expect(self.call("GET", path, headers=key), 410, code="expired")
        plan = keys.physical_id(aws, stack, "ApiUsagePlan")
        aws("apigateway").delete_usage_plan_key(usagePlanId=plan, keyId=second)
        aws("apigateway").delete_api_key(apiKey=second)

    def scan(self) -> None:
        """A printed code leads to a target that changes; its scans are counted."""
        code = self.create(dynamic=True, expiration_hours=1)
        key = {"X-Api-Key": self.deployment.api_key}
        shown = self.call("GET", f"/codes/{code}", headers=key)
        printed = shown.json["short_url"]
        check(printed.startswith(f"{PUBLIC_URL}/s/"), f"It is printed as {printed}.")
        path = printed.removeprefix(PUBLIC_URL)
        expect(self.call("GET", path), 302)
        target = self.text()
        change = {**key, "If-Match": shown.headers["ETag"] or ""}
        expect(self.call("PATCH", f"/codes/{code}", {"data": target}, change), 200)
        answer = self.call("GET", path, headers={"User-Agent": "Mozilla/5.0"})
        expect(answer, 302)
        check(answer.headers["Location"] == target, "It leads to the earlier target.")
        expect(self.call("HEAD", path), 302)
        preview = self.call("GET", f"{path}?preview=1", headers=JSON)
        expect(preview, 200, target=target)
        scans = self.call("GET", f"/codes/{code}/scans", headers=key)
        expect(scans, 200, people=1, bots=1)
        expect(self.call("GET", "/s/00000000", headers=JSON), 404, code="not_found")

    def throttle(self) -> None:
        """More simultaneous requests than the limit: 429 with Retry-After."""
        # The usage plan limits POST, as the route does; the route alone limits /health.
        for request in (
            lambda _: self.post("x", "?dry_run=true"),
            lambda _: self.call("GET", "/health"),
        ):
            with ThreadPoolExecutor(4 * POSTS_AT_ONCE) as pool:
                answers = list(pool.map(request, range(4 * POSTS_AT_ONCE)))
            refusals = [answer for answer in answers if answer.status != 200]
            check(refusals, "No request was refused.")
            for answer in refusals:
                expect(answer, 429, code="throttled")
                check(answer.headers["Retry-After"], "429 without Retry-After.")

    # -------------------------------------------------------------------- operations

    def update(self) -> None:
        """An update changes UrlTtlSeconds while codes are served (sam deploy)."""
        code = self.create()
        with self.served_meanwhile(f"/retrieve/{code}"):
            self.deployment.deploy(**LATER, **LIMITS, **SCHEDULE)
        answer = self.call("GET", f"/retrieve/{code}")
        expect(answer, 200)
        life = moment(answer.json["url_expires_at"]) - time.time()
        check(life > LATER_URL_SECONDS / 2, f"The URL is valid for {life:.0f} s only.")

    def release(self) -> None:
        """A release that changes only a layer takes over the traffic (sam deploy)."""
        before = self.layers("live")
        code = self.deployment.build / "CommonLayer" / "python" / "qr_service"
        (code / "release.txt").write_text("a change")
        self.deployment.deploy(**LATER, **LIMITS, **SCHEDULE)
        check(
            self.layers("live") == self.layers("$LATEST"),
            "The alias runs the old version.",
        )
        check(self.layers("live") != before, "No layer was changed.")
        expect(self.call("GET", "/health"), 200)

    def verify(self) -> None:
        """The pre-traffic hook stops a broken version, and no other (CodeDeploy)."""
        check(self.hook("d-GOOD00001") == "Succeeded", "It refuses a good version.")
        handler = self.deployment.build / "RetrieveFunction/app.py"
        good = handler.read_text()
        handler.write_text(f"{good}\nraise RuntimeError('a broken release')\n")
        self.deployment.deploy(**LATER, **LIMITS, **SCHEDULE)
        check(self.hook("d-BROKEN001") == "Failed", "It accepts a broken version.")
        handler.write_text(good)
        self.deployment.deploy(**LATER, **LIMITS, **SCHEDULE)
        check(self.hook("d-GOOD00002") == "Succeeded", "It refuses the good version.")

    def stand_beside_another_stage(self) -> None:
        """A second production stage beside the first shares nothing with it."""
        other = self.deployment_eu
        other.deploy(ManageApiGatewayAccount="false")
        missing = self.resources(self.deployment) - self.resources(other)
        shared = {"ApiGatewayAccount", "ApiGatewayLogRole"}
        check(missing == shared, f"The second stage lacks {missing - shared}.")
        # Both answer at once, each to its own key, and know only their own codes.
        expect(other.call("GET", "/health"), 200, database="ok", cache="ok")
        expect(self.call("GET", "/health"), 200, database="ok", cache="ok")
        body = {"data": self.text()}
        for key, status in ((self.deployment.api_key, 403), (other.api_key, 201)):
            answer = other.call("POST", "/generate", body, {"X-Api-Key": key})
            expect(answer, status)
        path = f"/retrieve/{answer.json['qr_id']}"
        expect(self.call("GET", path), 404)
        found = other.call("GET", path)
        expect(found, 200)
        expect(self.call("GET", found.json["qr_code"]), 200)
        other.delete()
        expect(self.call("GET", "/health"), 200, database="ok", cache="ok")

    def clean_up_on_schedule(self) -> None:
        """The schedule erases an expired code, which is 410 afterwards."""
        self.age(self.first)
        key = f"codes/{self.first}.png"
        erased = wait_until(lambda: key not in self.keys(), 90, pause=0.5)
        check(erased, "No cleanup erased it within 90 s.")
        self.check_erased(self.first)

    def clean_up_by_hand(self) -> None:
        """A manual cleanup erases another code (sam remote invoke)."""
        self.second = self.create()
        self.age(self.second)
        report = self.deployment.sam(
            *("remote", "invoke", "CleanupFunction"),
            *self.deployment.options(),
        )
        check('"erased": 1' in report, f"It did not erase one code:\n{report}")
        self.check_erased(self.second)
        counts = self.database.execute("SELECT people, bots FROM scans")
        check(counts == [(1, 1)], f"The scans are not kept: {counts}")

    def distrust(self) -> None:
        """With the layer's authorities, functions refuse database and cache."""
        code = self.create()
        in_layer = self.environment("Retrieve")["CA_BUNDLE"].removeprefix("/opt/")
        bundles = list(self.deployment.build.glob(f"*Layer/{in_layer}"))
        check(len(bundles) == 1, f"{in_layer} is in {len(bundles)} layers.")
        self.trust(bundles[0])
        expect(self.call("GET", "/health"), 503, code="unavailable")
        # With a connection, the cache would answer.
        expect(self.call("GET", f"/retrieve/{code}"), 503, code="unavailable")
        self.trust(self.tls.certificate)

        def well() -> bool:
            answer = self.call("GET", "/health")
            return answer.status == 200 and answer.json["cache"] == "ok"

        check(wait_until(well, 20, pause=0.5), "The functions do not recover.")

    def log_no_payload(self) -> None:
        """No log contains a payload, even after errors and timeouts in PostgreSQL."""
        table = "ALTER TABLE qr_codes"
        # An error with the row as its detail, and one that quotes the payload itself.
        for rule in ("false", "data::integer > 0"):
            added = f"ADD CONSTRAINT impossible CHECK ({rule}) NOT VALID"
            self.database.execute(f"{table} {added}")
            answer = self.post(self.text())
            check(answer.status >= 500, f"not an error: {answer}")
            self.database.execute(f"{table} DROP CONSTRAINT impossible")
        connection = self.database.connect()
        connection.autocommit = False
        with connection.cursor() as cursor:
            cursor.execute("LOCK TABLE qr_codes")
            expect(self.post(self.text()), 503, code="unavailable")
        connection.close()
        logs = {
            "PostgreSQL's log": self.database.log.read_text(),
            "The other PostgreSQL's log": self.database_eu.log.read_text(),
        }
        events = self.deployment.client("logs")
        for group in events.describe_log_groups()["logGroups"]:
            found = events.filter_log_events(logGroupName=group["logGroupName"])
            logs[group["logGroupName"]] = "\n".join(
                event["message"] for event in found["events"]
            )
        written = "\n".join(logs.values())
        for route in ("POST /generate", "GET /retrieve/{qr_id}"):
            check(route in written, f"No log has a line of {route}.")
        for name, log in logs.items():
            shown = [text for text in self.texts if text in log]
            check(not shown, f"{name} shows payloads: {shown}")

    def delete(self) -> None:
        """The stack is deleted, the bucket of images is kept (sam delete)."""
        rds = self.deployment.client("rds")
        (database,) = rds.describe_db_instances()["DBInstances"]
        check(
            database["DeletionProtection"], "The database has no deletion protection."
        )
        rds.modify_db_instance(
            DBInstanceIdentifier=database["DBInstanceIdentifier"],
            DeletionProtection=False,
        )
        bucket = self.deployment.outputs["QrBucketName"]
        self.deployment.delete()
        answer = self.call("GET", "/health")
        check(answer.status in (403, 404), f"The API still answers: {answer}")
        buckets = self.deployment.client("s3").list_buckets()["Buckets"]
        check(
            bucket in {each["Name"] for each in buckets},
            "The bucket of images was deleted.",
        )

    # --------------------------------------------------------------------- helpers

    def trust(self, authorities: Path) -> None:
        """Make the functions trust these authorities, and connect again."""
        self.trusted.write_text(authorities.read_text())
        self.database.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename <> current_user"
        )
        self.cache.execute("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def boundary(self) -> str:
        """Create the policy that bounds the roles of a stack; return its ARN."""
        roles = yaml_parse((ROOT / ".github/oidc-role.yaml").read_text())
        document = roles["Resources"]["Boundary"]["Properties"]["PolicyDocument"]
        sts = self.deployment.client("sts")
        names = {
            "${AWS::Partition}": "aws",
            "${AWS::Region}": REGION,
            "${AWS::AccountId}": sts.get_caller_identity()["Account"],
            "${Stage}": self.deployment.stage,
        }
        text = re.sub(r'\{"Fn::Sub": ("[^"]+")\}', r"\1", json.dumps(document))
        for name, value in names.items():
            text = text.replace(name, value)
        made = self.deployment.client("iam").create_policy(
            PolicyName="boundary", PolicyDocument=text
        )
        return str(made["Policy"]["Arn"])

    def configuration(self, function: str, version: str = "$LATEST") -> Any:
        """Return the configuration of a deployed function."""
        return self.deployment.client("lambda").get_function_configuration(
            FunctionName=self.deployment.outputs[f"{function}FunctionName"],
            Qualifier=version,
        )

    def hook(self, deployment: str) -> str:
        """Invoke the hook as CodeDeploy does; return what it reports."""
        stack = self.deployment.client("cloudformation").describe_stack_resource(
            StackName=self.deployment.stack_name, LogicalResourceId="VerifyFunction"
        )
        event = json.loads((EVENTS / "verify/pre_traffic.json").read_text())
        answer = self.deployment.client("lambda").invoke(
            FunctionName=stack["StackResourceDetail"]["PhysicalResourceId"],
            Payload=json.dumps(event | {"DeploymentId": deployment}),
        )
        codedeploy = self.deployment.client("codedeploy")
        found = codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"]
        returned = answer["Payload"].read().decode()
        check(found["status"] != "InProgress", f"It reports nothing: {returned}")
        return str(found["status"])

    @staticmethod
    def resources(deployment: Deployment) -> set[str]:
        """Return the logical ids of a stack's resources, without SAM's checksums."""
        pages = deployment.client("cloudformation").get_paginator(
            "list_stack_resources"
        )
        return {
            re.sub(r"[0-9a-f]{10}$", "", resource["LogicalResourceId"])
            for page in pages.paginate(StackName=deployment.stack_name)
            for resource in page["StackResourceSummaries"]
        }

    def layers(self, version: str) -> list[str]:
        """Return the ARNs of the layers of the retrieve function."""
        found = self.configuration("Retrieve", version)["Layers"]
        return [layer["Arn"] for layer in found]

    def environment(self, function: str) -> dict[str, str]:
        """Return a deployed function's variables."""
        variables: dict[str, str] = self.configuration(function)["Environment"][
            "Variables"
        ]
        return variables

    def text(self) -> str:
        """Return a new, unique payload."""
        self.texts.append(f"https://example.com/{secrets.token_hex(12)}")
        return self.texts[-1]

    def post(self, data: str, query: str = "", **fields: Any) -> Answer:
        """Return the answer to POST /generate."""
        key = {"X-Api-Key": self.deployment.api_key}
        return self.call("POST", f"/generate{query}", {"data": data, **fields}, key)

    def create(self, **fields: Any) -> str:
        """Create a code, repeatedly if it is throttled; return its id."""
        text = self.text()
        answers: list[Answer] = []

        def done() -> bool:
            answers.append(self.post(text, **fields))
            return answers[-1].status != 429

        wait_until(done, 10, pause=0.3)
        expect(answers[-1], 201)
        return str(answers[-1].json["qr_id"])

    def keys(self) -> list[str]:
        """Return the keys of all images."""
        bucket = self.deployment.outputs["QrBucketName"]
        found = self.deployment.client("s3").list_objects_v2(Bucket=bucket)
        return [each["Key"] for each in found.get("Contents", [])]

    def hits(self) -> int:
        """Return the number of hits of the cache so far."""
        return int(self.cache.execute("INFO", "stats")["keyspace_hits"])

    def age(self, code: str) -> None:
        """Set the expiry of a code to a minute ago."""
        self.database.execute(
            "UPDATE qr_codes SET created_at = now() - interval '2 hours',"
            " expires_at = now() - interval '1 minute' WHERE id = %s",
            [code],
        )

    def check_erased(self, code: str) -> None:
        """Raise LocalError unless a code is a tombstone, and is answered with 410."""
        key = f"codes/{code}.png"
        check(key not in self.keys(), f"{key} is still in S3.")
        self.cache.execute("DEL", f"qr:{code}")  # the cached entry has the old expiry
        expect(self.call("GET", f"/retrieve/{code}"), 410, code="expired")
        row = "SELECT data FROM qr_codes WHERE id = %s AND erased_at IS NOT NULL"
        check(self.database.execute(row, [code]) == [(None,)], "It was not erased.")

    @contextmanager
    def served_meanwhile(self, path: str) -> Iterator[None]:
        """Run the block; raise LocalError unless the path is 200 throughout."""
        over, answers = threading.Event(), []

        def send() -> None:
            while not over.wait(0.1):
                answers.append(self.call("GET", path))

        with ThreadPoolExecutor(1) as pool:
            sending = pool.submit(send)
            try:
                yield
            finally:
                over.set()
            sending.result()
        check(answers, "No request was sent meanwhile.")
        for answer in answers:
            expect(answer, 200)


def moment(text: Any) -> float:
    """Return a time of an answer as seconds since 1970."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
