"""`make smoke`: show that a deployed service works, by using it as a client does.

It creates a code that expires after one hour, fetches its image and reads it, in a few
seconds. It prints no key, id or presigned URL, because the logs of a pipeline may be
public.
"""

import argparse
import os
import sys
import time
import tomllib
import uuid
from collections.abc import Iterator, Mapping
from io import BytesIO

import boto3
import zxingcpp
from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from local.http import Answer, Unreachable, call
from local.project import ROOT

TIMEOUT = 35  # seconds; API Gateway gives up after 29
KEY_SECONDS = 60  # API Gateway may not know a new key for this long
CACHE_SECONDS = 8  # an environment skips a cache that failed for 5 s
PAUSE = 2  # seconds
SHOWN = ("code", "request_id")  # members of a problem document to print


class SmokeError(Exception):
    """A service that fails or cannot be reached; the message is for the terminal."""


def main() -> int:
    """Print each check that passes; return 1 at the first that fails, else 0."""
    parser = argparse.ArgumentParser("make smoke", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("url", nargs="?", help="URL of the API; its key is in API_KEY")
    where.add_argument(
        "--stage", help="stage of samconfig.toml; URL and key are read from its stack"
    )
    options = parser.parse_args()
    try:
        if options.stage:
            url, key = deployed(stack_name(options.stage))
        else:
            url, key = options.url.rstrip("/"), os.environ.get("API_KEY", "")
        print(f"Trying {url}", flush=True)
        for step in smoke(url, key):
            print(f"  {step}", flush=True)
    except SmokeError as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    print("It works.")
    return 0


def smoke(url: str, key: str) -> Iterator[str]:
    """Yield each check that passes; raise SmokeError at the first that fails.

    Without a key, as on a local service, there is no check that one is required.
    """
    text = f"https://example.com/smoke/{uuid.uuid4()}"
    request = {"data": text, "expiration_hours": 1}

    check_health(f"{url}/health")
    yield "GET /health reports that database and cache answer"
    if key:
        fetch("POST without a key", f"{url}/generate", 403, request)
        yield "POST /generate refuses a request without an API key"
    made = generate(f"{url}/generate", key, request)
    yield "POST /generate creates a code"
    address = f"{url}/retrieve/{member(made, 'qr_id', 'POST /generate')}"
    found = fetch("GET /retrieve", address, 200)
    yield "GET /retrieve finds the code"
    image_url = member(found, "qr_code", "GET /retrieve")
    image = fetch("GET of the image", image_url, 200)
    if read(image.body) != text:
        raise SmokeError("the image does not hold the text that was sent")
    yield "the image behind the presigned URL holds the text"
    unknown = f"{url}/retrieve/{uuid.uuid4()}"
    fetch("GET /retrieve of an unknown id", unknown, 404)
    yield "GET /retrieve of an unknown id is 404"


def check_health(url: str) -> None:
    """Raise SmokeError unless database and cache answer, the cache within a while."""
    deadline = time.monotonic() + CACHE_SECONDS
    while True:
        last = time.monotonic() > deadline
        health = fetch("GET /health", url, 200)
        cache = member(health, "cache", "GET /health")
        if cache == "ok":
            return
        if last:
            raise SmokeError(
                f"GET /health: the cache is {cache}; see CachePassedOverAlarm in"
                " docs/operations.md"
            )
        time.sleep(PAUSE)


def generate(url: str, key: str, request: object) -> Answer:
    """Return the answer to `POST /generate`; retry while the key is not known yet."""
    headers = {"X-Api-Key": key} if key else {}
    deadline = time.monotonic() + KEY_SECONDS
    while True:
        last = time.monotonic() > deadline
        accepted = (201,) if last or not key else (201, 403)
        answer = fetch("POST /generate", url, accepted, request, headers)
        if answer.status == 201:
            return answer
        time.sleep(PAUSE)


def fetch(
    request: str,
    url: str,
    status: int | tuple[int, ...],
    body: object = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return the answer to a GET, or to a POST of a body; `request` is for messages.

    Raise SmokeError if there is no answer, or if it has another status.
    """
    method = "GET" if body is None else "POST"
    try:
        answer = call(method, url, body, headers, timeout=TIMEOUT)
    except Unreachable as error:
        raise SmokeError(f"{request}: no answer, {error}") from None
    expected = status if isinstance(status, tuple) else (status,)
    if answer.status in expected:
        return answer
    problem = answer.json if isinstance(answer.json, dict) else {}
    shown = [f"{key} {problem[key]}" for key in SHOWN if key in problem]
    fault = f"{request}: {answer.status} instead of {expected[0]}"
    raise SmokeError(", ".join([fault, *shown]))


def member(answer: Answer, name: str, request: str) -> str:
    """Return a member of the JSON object; raise SmokeError if it is missing."""
    if not isinstance(answer.json, dict) or name not in answer.json:
        raise SmokeError(f"{request}: there is no {name} in the answer")
    return str(answer.json[name])


def read(image: bytes) -> str:
    """Return the text of the QR code in an image; empty unless there is exactly one."""
    try:
        with Image.open(BytesIO(image)) as picture:
            found = zxingcpp.read_barcodes(picture)
    except OSError:
        return ""
    return found[0].bytes.decode(errors="replace") if len(found) == 1 else ""


def stack_name(stage: str) -> str:
    """Return the name of a stage's stack; raise SmokeError if there is none."""
    stages = tomllib.loads((ROOT / "samconfig.toml").read_text())
    try:
        return str(stages[stage]["global"]["parameters"]["stack_name"])
    except KeyError:
        raise SmokeError(f"samconfig.toml has no stage {stage!r}") from None


def deployed(stack: str) -> tuple[str, str]:
    """Return URL and key of a stack's API from AWS; raise SmokeError on failure."""
    try:
        (found,) = boto3.client("cloudformation").describe_stacks(StackName=stack)[
            "Stacks"
        ]
        outputs = {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}
        key = boto3.client("apigateway").get_api_key(
            apiKey=outputs["ApiKeyId"], includeValue=True
        )
    except (BotoCoreError, ClientError) as error:
        raise SmokeError(f"the stack {stack} cannot be read: {error}") from None
    except KeyError:
        raise SmokeError(
            f"the stack {stack} has no outputs: its deployment failed or is in progress"
        ) from None
    return outputs["ApiUrl"], key["value"]


if __name__ == "__main__":
    sys.exit(main())
