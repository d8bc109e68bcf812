"""The promises of the service, checked in order on the system of a new user."""

import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from qr_service.engine.readback import read

from local import http
from local.processes import wait_until
from tests.support.logos import data_url, letter
from tests.support.scanners import needs_zbar, picture, zbar_reads

DATA = "https://example.com/acceptance"
SECRETS = {DATA}  # no log may contain these; the tests add more
LOGO = data_url(letter())
STYLES = {
    "svg": {"format": "svg"},
    "rounded, two colours": {"shape": "rounded", "dark": "#1A237E", "light": "#FFF8E7"},
    "transparent": {"light": "transparent"},
    "circles, gradient": {
        "shape": "circle",
        "gradient": {"type": "radial", "to": "#7A0026"},
    },
    "logo": {"logo": LOGO},
    "logo in svg": {"logo": LOGO, "format": "svg", "shape": "gapped"},
}


def call(url, body=None, **headers):
    """Return status, headers and body."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = http.call("GET" if body is None else "POST", url, body, named)
    return answer.status, answer.headers, answer.body


def generate(running, **headers):
    status, _, body = call(f"{running.url}/generate", {"data": DATA}, **headers)
    assert status == 201, body
    return json.loads(body)["qr_id"]


def retrieve(running, qr_id):
    status, headers, body = call(f"{running.url}/retrieve/{qr_id}")
    answer = json.loads(body)
    if status == 200:
        SECRETS.add(answer["qr_code"].partition("X-Amz-Signature=")[2][:64])
    return status, headers, answer


def let_expire(running, qr_id, seconds):
    """Make a code expire in `seconds`; remove it from the cache."""
    moment = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds)
    running.query(
        "UPDATE qr_codes SET created_at = '2020-01-01', expires_at = %s WHERE id = %s",
        moment,
        qr_id,
    )
    with running.cache() as cache:
        cache.delete(f"qr:{qr_id}")


def objects(running):
    """Return the ids of the codes whose image is in the bucket."""
    folder = running.folder / ".local" / "s3" / "objects"
    return {path.stem for path in folder.rglob("codes/*.png")}


def test_make_run_installs_with_empty_caches_and_serves(clone, measured):
    clone.run()
    measured(f"first make run, with empty caches: {clone.started[-1]:.1f} s")


def test_a_second_start_serves_again(running, measured):
    assert running.end(signal.SIGTERM) == []
    running.run()
    measured(f"second make run: {running.started[-1]:.1f} s")


def test_the_curl_that_make_run_prints_creates_a_code(running):
    answer = subprocess.run(
        f"{running.try_line} --silent --show-error --write-out '\n%{{http_code}}'",
        shell=True,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout
    body, status = answer.rsplit("\n", 1)
    assert status == "201"
    created = json.loads(body)
    assert str(uuid.UUID(created["qr_id"])) == created["qr_id"]
    life = datetime.fromisoformat(created["expires_at"]) - datetime.now(UTC)
    assert timedelta(hours=23, minutes=59) < life <= timedelta(hours=24)
    assert created["expires_at"].endswith("Z")


@needs_zbar
def test_the_image_behind_the_url_is_read_by_two_scanners(running):
    status, _, answer = retrieve(running, generate(running))
    assert status == 200
    status, headers, body = call(answer["qr_code"])
    assert (status, headers["Content-Type"]) == (200, "image/png")
    assert read(body).payload == zbar_reads(body) == DATA.encode()


def test_an_image_tag_is_redirected(running):
    url = f"{running.url}/retrieve/{generate(running)}"
    status, headers, _ = call(url, Accept="image/avif,image/webp,*/*")
    assert status == 302
    SECRETS.add(headers["Location"].partition("X-Amz-Signature=")[2][:64])
    assert read(call(headers["Location"])[2]).payload == DATA.encode()


def test_a_changed_a_foreign_and_an_expired_url_are_refused(running):
    one, other = generate(running), generate(running)
    let_expire(running, one, 4)
    url = retrieve(running, one)[2]["qr_code"]
    assert call(url)[0] == 200
    last = "0" if url[-1] != "0" else "1"
    assert call(url[:-1] + last)[0] == 403
    assert call(url.replace(one, other))[0] == 403
    assert wait_until(lambda: call(url)[0] == 403, 15, 0.2)


@needs_zbar
@pytest.mark.parametrize("name", STYLES)
def test_a_styled_image_is_read_by_two_scanners(running, name):
    body = {"data": DATA, **STYLES[name]}
    status, headers, answer = call(f"{running.url}/generate", body)
    assert status == 201, answer
    created = json.loads(answer)
    _, _, found = call(running.url + headers["Location"])
    status, headers, image = call(json.loads(found)["qr_code"])
    kinds = {"png": "image/png", "svg": "image/svg+xml"}
    assert (status, headers["Content-Type"]) == (200, kinds[created["format"]])
    assert read(image).payload == zbar_reads(image) == DATA.encode()
    if created["format"] == "png":
        assert picture(image).width == created["width"]


def test_a_dry_run_answers_the_same_and_creates_no_code(running):
    body = {"data": DATA, "logo": LOGO}
    before = running.query("SELECT count(*) FROM qr_codes")
    status, _, answer = call(f"{running.url}/generate?dry_run=true", body)
    assert status == 200
    dry_run = json.loads(answer)
    assert dry_run["scans"] is True
    assert running.query("SELECT count(*) FROM qr_codes") == before
    created = json.loads(call(f"{running.url}/generate", body)[2])
    assert created.items() >= {k: v for k, v in dry_run.items() if k in created}.items()


def test_a_head_has_the_status_and_headers_of_the_get(running):
    address = f"{running.url}/retrieve/{generate(running)}"
    for url in (address, f"{running.url}/health"):
        head = http.call("HEAD", url)
        assert (head.status, head.body) == (200, b"")
        assert head.headers["Content-Type"] == http.get(url).headers["Content-Type"]
    redirect = http.call("HEAD", f"{address}?redirect=1&utm_source=mail")
    assert redirect.status == 302
    assert http.call("HEAD", redirect.headers["Location"]).status == 200


def test_an_image_answers_a_page_of_any_origin(running):
    url = retrieve(running, generate(running))[2]["qr_code"]
    assert http.get(url, Origin="null").headers["Access-Control-Allow-Origin"] == "*"


@pytest.mark.parametrize("query", ["dry-run=true", "dry_run=true&dry_run=false"])
def test_a_mistaken_parameter_stores_no_code(running, query):
    before = running.query("SELECT count(*) FROM qr_codes")
    refused = http.post(f"{running.url}/generate?{query}", {"data": DATA})
    assert refused.status == 400
    assert running.query("SELECT count(*) FROM qr_codes") == before


def test_an_id_in_upper_case_is_the_same_code(running):
    qr_id = generate(running)
    assert retrieve(running, qr_id.upper())[0] == 200


def test_minutes_whole_floats_and_a_byte_order_mark_are_accepted(running):
    for hours in ("0.02", "24.0", "1e1"):
        body = f'\ufeff{{"data": "{DATA}", "expiration_hours": {hours}}}'.encode()
        assert http.post(f"{running.url}/generate", body).status == 201


@pytest.mark.parametrize("cache", ["warm", "cold"])
def test_an_expired_code_is_410_at_once(running, cache):
    qr_id = generate(running)
    let_expire(running, qr_id, 5)  # seconds: time for one retrieve on a busy machine
    if cache == "warm":
        assert retrieve(running, qr_id)[0] == 200
    expires_at = running.query("SELECT expires_at FROM qr_codes WHERE id = %s", qr_id)
    almost = expires_at[0][0] - timedelta(milliseconds=900)
    assert wait_until(lambda: datetime.now(UTC) >= almost, 30)
    status, _, answer = retrieve(running, qr_id)
    assert (status, answer["code"]) == (410, "expired")
    assert call(f"{running.url}/retrieve/{uuid.uuid4()}")[0] == 404


def test_make_cleanup_erases_a_code_once_and_it_stays_410(running):
    qr_id = generate(running)
    assert qr_id in objects(running)
    let_expire(running, qr_id, 0)
    first = json.loads(running.make("cleanup"))
    assert first["erased"] >= 1
    assert (first["failed"], first["remaining"]) == (0, 0)
    assert qr_id not in objects(running)
    (row,) = running.query("SELECT * FROM qr_codes WHERE id = %s", qr_id)
    assert DATA not in map(str, row)
    assert retrieve(running, qr_id)[0] == 410
    assert json.loads(running.make("cleanup"))["erased"] == 0


@pytest.mark.parametrize("fault", [signal.SIGKILL, signal.SIGSTOP])
def test_without_the_cache_requests_succeed_without_delay(running, fault, measured):
    qr_id = generate(running)

    def timed(rounds):
        taken = []
        for _ in range(rounds):
            for request in (
                lambda: call(f"{running.url}/generate", {"data": DATA}),
                lambda: call(f"{running.url}/retrieve/{qr_id}"),
            ):
                begin = time.monotonic()
                assert request()[0] in {200, 201}
                taken.append(time.monotonic() - begin)
        return taken

    def skipped():
        return sum(log.count('"message":"cache skipped"') for log in running.logs())

    with running.cache() as cache:  # it may have been skipped a moment ago
        kept = f"qr:{qr_id}"
        cache.delete(kept)
        assert wait_until(
            lambda: retrieve(running, qr_id)[0] == 200 and cache.exists(kept), 10
        )
    usual, before = statistics.median(timed(10)), skipped()
    valkey = running.processes["Valkey"]["pid"]
    os.kill(valkey, fault)
    try:
        taken = timed(15)
    finally:
        if fault == signal.SIGSTOP:
            os.kill(valkey, signal.SIGCONT)
        else:
            wait_until(lambda: running.processes["Valkey"]["pid"] != valkey, 20)
    slowest = max(taken)
    measured(
        f"cache {fault.name}: usual {usual:.3f} s, slowest without it {slowest:.3f} s"
    )
    skips = skipped() - before
    assert 0 < skips < len(taken) / 2, "few requests wait for the cache, others skip it"


def manage(running, method, qr_id, body=None, **headers):
    """Return the answer to a request of /codes/ID."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return http.call(method, f"{running.url}/codes/{qr_id}", body, named)


def test_an_owner_lists_changes_and_ends_a_code(running):
    qr_id = generate(running)
    # Codes of one second are listed by their ids.
    listed = http.get(f"{running.url}/codes?limit=100").json["codes"]
    assert qr_id in [code["qr_id"] for code in listed]
    tag = manage(running, "GET", qr_id).headers["ETag"]
    body = {"label": "acceptance", "expiration_hours": 0.5}
    assert manage(running, "PATCH", qr_id, body).status == 428
    changed = manage(running, "PATCH", qr_id, body, If_Match=tag)
    assert (changed.status, changed.json["label"]) == (200, "acceptance")
    assert manage(running, "PATCH", qr_id, body, If_Match=tag).status == 412
    assert retrieve(running, qr_id)[2]["expires_at"] == changed.json["expires_at"]
    assert manage(running, "DELETE", qr_id).status == 204
    assert retrieve(running, qr_id)[0] == 410
    assert qr_id not in objects(running)


@pytest.mark.parametrize("cache", ["up", "killed", "hung"])
def test_changes_hold_within_a_minute(running, cache, measured):
    """At once, or as soon as the cache that could not be written is not believed."""
    ended, shorter, longer = (generate(running) for _ in range(3))
    for qr_id in (ended, shorter, longer):
        assert retrieve(running, qr_id)[0] == 200
    valkey = running.processes["Valkey"]["pid"]
    if cache == "killed":  # it comes back empty
        os.kill(valkey, signal.SIGKILL)
    elif cache == "hung":
        os.kill(valkey, signal.SIGSTOP)
    try:
        assert manage(running, "DELETE", ended).status == 204
        expected = {}
        for qr_id, hours in ((shorter, 0.5), (longer, 48)):
            body = {"expiration_hours": hours}
            answer = manage(running, "PATCH", qr_id, body, If_Match="*")
            assert answer.status == 200
            expected[qr_id] = answer.json["expires_at"]
        changed = time.monotonic()
    finally:
        if cache == "hung":
            os.kill(valkey, signal.SIGCONT)

    def all_hold():
        return retrieve(running, ended)[0] == 410 and all(
            retrieve(running, qr_id)[2].get("expires_at") == moment
            for qr_id, moment in expected.items()
        )

    assert wait_until(all_hold, 120, 0.2)
    took = time.monotonic() - changed
    measured(f"cache {cache}: changes and an end hold after {took:.1f} s")
    if cache == "killed":
        wait_until(lambda: running.processes["Valkey"]["pid"] != valkey, 20)


def test_requests_are_503_until_the_database_is_back(running):
    cached = generate(running)
    with running.cache() as cache:  # it may have been skipped a moment ago
        kept = f"qr:{cached}"
        assert wait_until(
            lambda: retrieve(running, cached)[0] == 200 and cache.exists(kept), 10
        )
    postgresql = running.processes["PostgreSQL"]["pid"]
    family = set(running.family())
    os.kill(postgresql, signal.SIGKILL)
    refused, headers, _ = call(f"{running.url}/generate", {"data": DATA})
    assert refused == 503
    assert int(headers["Retry-After"]) > 0
    assert call(f"{running.url}/retrieve/{uuid.uuid4()}")[0] == 503
    assert retrieve(running, cached)[0] == 200
    health = f"{running.url}/health"
    assert wait_until(lambda: call(health)[0] == 200, 30, 0.1)
    assert retrieve(running, generate(running))[0] == 200
    renewed = set(running.family()) - family
    assert running.processes["PostgreSQL"]["pid"] in renewed
    assert running.processes["API"]["pid"] in family


def test_50_simultaneous_posts_with_one_key_create_one_code(running):
    key = f"acceptance {uuid.uuid4()}"
    SECRETS.add(key)
    before = objects(running)
    with ThreadPoolExecutor(50) as pool:
        created = list(
            pool.map(lambda _: generate(running, Idempotency_Key=key), range(50))
        )
    assert len(set(created)) == 1
    rows = running.query(
        "SELECT id, object_key FROM qr_codes WHERE idempotency_key = %s", key
    )
    assert rows == [(created[0], f"codes/{created[0]}.png")]
    assert objects(running) - before == {created[0]}


@pytest.mark.parametrize(
    ("function", "event", "member"),
    [
        ("generate", "url", "statusCode"),
        ("retrieve", "json", "statusCode"),
        ("cleanup", "scheduled", "erased"),
    ],
)
def test_make_invoke_prints_the_handlers_json(running, function, event, member):
    printed = running.make("invoke", f"FUNCTION={function}", f"EVENT={event}")
    assert member in json.loads(printed)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_ending_the_launcher_ends_all_processes_and_loses_no_code(running, how):
    qr_id = generate(running)
    assert running.end(how) == []
    running.run()
    status, _, answer = retrieve(running, qr_id)
    assert status == 200
    assert read(call(answer["qr_code"])[2]).payload == DATA.encode()


def client_of_the_readme(running, language):
    """Return the program in README.md, with the address of the running system."""
    readme = (running.folder / "README.md").read_text()
    (program,) = re.findall(rf"```{language}\n(.*?)```", readme, re.DOTALL)
    assert "http://127.0.0.1:3000" in program
    return program.replace("http://127.0.0.1:3000", running.url)


@pytest.mark.parametrize(
    ("language", "command"),
    [
        ("python", ["python", "-c"]),
        pytest.param(
            *("javascript", ["node", "--input-type=module", "--eval"]),
            marks=pytest.mark.skipif(
                not shutil.which("node") and not os.environ.get("CI"),
                reason="node is not installed",
            ),
        ),
    ],
)
def test_a_client_of_the_readme_saves_a_code_that_scans(
    running, client, tmp_path, language, command
):
    program = client_of_the_readme(running, language)
    environment = {**os.environ, "PATH": f"{client}:{os.environ['PATH']}"}
    subprocess.run(
        [*command, program], cwd=tmp_path, env=environment, timeout=60, check=True
    )
    saved = (tmp_path / "code.png").read_bytes()
    assert read(saved).payload == b"https://example.com"


def test_no_log_contains_a_payload_a_key_or_a_signed_url(running):
    variables = running.variables()
    settings = variables["Parameters"] | variables["MigrateFunction"]
    secrets = SECRETS | {settings["AWS_SECRET_ACCESS_KEY"], settings["DATABASE_URL"]}
    secrets.add(settings["DATABASE_URL"].split(":")[2].split("@")[0])
    logs = running.logs()
    assert len(secrets) > 5
    requests = sum(text.count('"route":"POST /generate"') for text in logs)
    assert requests > 100, "the logs contain the lines of the functions"
    assert not {secret for text in logs for secret in secrets if secret in text}
