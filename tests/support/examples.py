"""The status code of the response to each HTTP example event, by file below events/.

The database contains a code with the id RETRIEVED, which the events request.
"""

from local.project import EVENTS
from local.stack import ONLY_ON_AWS

ALL = sorted(
    str(file.relative_to(EVENTS).with_suffix(""))
    for file in EVENTS.glob("*/*")
    if file.parent.name not in ONLY_ON_AWS
)
CONTAINER_DATA = "https://example.com/containers"  # the data of `make containers`
RETRIEVED = "3f1c8a52-7d0e-4b6a-9c41-5e8f2a7b6d90"
STATUS = {
    "generate/base64": 201,
    "generate/dry_run": 200,
    "generate/gradient": 201,
    "generate/idempotent": 201,
    "generate/japanese": 201,
    "generate/logo": 201,
    "generate/rounded": 201,
    "generate/styled": 201,
    "generate/svg": 201,
    "generate/too_long": 422,
    "generate/unknown_field": 400,
    "generate/url": 201,
    "generate/wifi": 201,
    "pages/docs": 200,
    "pages/not_modified": 304,
    "pages/openapi": 200,
    "pages/root": 302,
    "retrieve/head": 200,
    "retrieve/health": 200,
    "retrieve/health_head": 200,
    "retrieve/json": 200,
    "retrieve/not_found": 404,
    "retrieve/redirect": 302,
}
