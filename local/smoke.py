"""`make smoke`: shows that a deployed service works, by using it as a client does.

It makes a code of one hour, fetches its image and reads it, in a few seconds. It prints
neither keys nor ids nor presigned URLs, for the logs of a pipeline may be public.
"""

import argparse
import http.client
import json
import os
import sys
import time
import tomllib
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from types import MappingProxyType
from typing import Any

import boto3
import zxingcpp
from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from local.stack import PROJECT

TIMEOUT = 35  # seconds; API Gateway gives up after 29
KEY_PATIENCE = 60  # seconds; API Gateway knows a new key only after a while
PAUSE = 2  # seconds
TOLD = ("code", "request_id")  # of a problem document


class SmokeError(Exception):
    """The service does not work, or cannot be asked; the message is for a terminal."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back from a request; `what` is the request, to be named in errors."""

    what: str
    status: int
    body: bytes

    def expected(self, status: int) -> "Answer":
        """Returns itself when that is its status; else raises SmokeError."""
        if self.status == status:
            return self
        told = [f"{key} {value}" for key, value in self.json().items() if key in TOLD]
        fault = f"{self.what}: {self.status} instead of {status}"
        raise SmokeError(", ".join([fault, *told]))

    def field(self, name: str) -> str:
        """Returns a member of the JSON object; raises SmokeError when it is missing."""
        if name not in (body := self.json()):
            raise SmokeError(f"{self.what}: there is no {name} in the answer")
        return str(body[name])

    def json(self) -> dict[str, Any]:
        """Returns the body; empty when it is no JSON object."""
        try:
            body = json.loads(self.body)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}


def main() -> int:
    """Prints what holds, line by line; returns 1 at the first that does not, else 0."""
    parser = argparse.ArgumentParser("make smoke", description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("url", nargs="?", help="of the API; its key is in API_KEY")
    where.add_argument("--stage", help="of samconfig.toml; its stack knows URL and key")
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
    """Yields what holds, in the order of a code's life; raises SmokeError at a fault.

    Without a key, as locally, it is not tried whether one is asked for.
    """
    text = f"https://example.com/smoke/{uuid.uuid4()}"
    request = json.dumps({"data": text, "expiration_hours": 1}).encode()

    fetch("GET /health", f"{url}/health").expected(200)
    yield "GET /health says that the database answers"
    if key:
        fetch("POST without a key", f"{url}/generate", request).expected(403)
        yield "POST /generate refuses who has no API key"
    made = generate(f"{url}/generate", key, request).expected(201)
    yield "POST /generate makes a code"
    place = f"{url}/retrieve/{made.field('qr_id')}"
    found = fetch("GET /retrieve", place).expected(200)
    yield "GET /retrieve knows it"
    image = fetch("GET of the image", found.field("qr_code")).expected(200)
    if read(image.body) != text:
        raise SmokeError("the image does not hold the text that was sent")
    yield "the image behind the presigned URL holds the text"
    unknown = f"{url}/retrieve/{uuid.uuid4()}"
    fetch("GET /retrieve of no code", unknown).expected(404)
    yield "GET /retrieve says of another id that there is no such code"


def generate(url: str, key: str, request: bytes) -> Answer:
    """Returns the answer to `POST /generate`; waits where a key is new to the API."""
    headers = {"X-Api-Key": key} if key else {}
    deadline = time.monotonic() + KEY_PATIENCE
    while True:
        answer = fetch("POST /generate", url, request, headers)
        if answer.status != 403 or time.monotonic() > deadline:
            return answer
        time.sleep(PAUSE)


def fetch(
    what: str,
    url: str,
    body: bytes | None = None,
    headers: Mapping[str, str] = MappingProxyType({}),
) -> Answer:
    """Returns the answer to a GET, or POST of a body; SmokeError when there is none."""
    if not url.startswith(("https://", "http://")):
        raise SmokeError(f"{what}: not an HTTP URL")
    request = urllib.request.Request(url, body, dict(headers))  # noqa: S310 - checked
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as response:  # noqa: S310
            return Answer(what, response.status, response.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(what, error.code, error.read())
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", error)
        raise SmokeError(f"{what}: no answer, {reason}") from None


def read(image: bytes) -> str:
    """Returns the text of the one QR code in an image; empty when there is none."""
    try:
        with Image.open(BytesIO(image)) as picture:
            found = zxingcpp.read_barcodes(picture)
    except OSError:
        return ""
    return found[0].bytes.decode(errors="replace") if len(found) == 1 else ""


def stack_name(stage: str) -> str:
    """Returns the name of a stage's stack; raises SmokeError when there is none."""
    stages = tomllib.loads((PROJECT / "samconfig.toml").read_text())
    try:
        return str(stages[stage]["global"]["parameters"]["stack_name"])
    except KeyError:
        raise SmokeError(f"samconfig.toml has no stage {stage!r}") from None


def deployed(stack: str) -> tuple[str, str]:
    """Returns URL and key of a stack's API, asked of AWS; may raise SmokeError."""
    try:
        (found,) = boto3.client("cloudformation").describe_stacks(StackName=stack)[
            "Stacks"
        ]
        outputs = {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]}
        key = boto3.client("apigateway").get_api_key(
            apiKey=outputs["ApiKeyId"], includeValue=True
        )
    except (BotoCoreError, ClientError) as error:
        raise SmokeError(f"AWS does not tell of the stack {stack}: {error}") from None
    except KeyError:
        raise SmokeError(
            f"The stack {stack} has no outputs: its deployment failed or is under way"
        ) from None
    return outputs["ApiUrl"], key["value"]


if __name__ == "__main__":
    sys.exit(main())
