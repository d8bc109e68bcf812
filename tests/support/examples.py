"""The status code of the response to each HTTP example event, by file below events/.

The database contains the codes STORED of OWNER, which the events request.
"""

from local.project import EVENTS
from local.stack import ONLY_ON_AWS

ALL = sorted(
    str(file.relative_to(EVENTS).with_suffix(""))
    for file in EVENTS.glob("*/*")
    if file.parent.name not in ONLY_ON_AWS
)
CONTAINER_DATA = "https://example.com/containers"  # the data of `make containers`
OWNER = "k7x2m9q4wd"  # whose codes the events manage
RETRIEVED = "3f1c8a52-7d0e-4b6a-9c41-5e8f2a7b6d90"
MANAGED = "8d2b6c1e-5f47-4a09-b3d8-71c9e04fa256"
SCANNED = "5e0d93b7-1c68-42fa-8b7d-e94a2f6130c5"  # a dynamic code
SLUG = "7K2M9QWD"  # its slug
ENDED = "c41a97d0-2e8b-4f63-9a15-6b07d3f8e92c"
STORED = (RETRIEVED, MANAGED, ENDED)
STATUS = {
    "generate/base64": 201,
    "generate/batch": 200,
    "generate/contact": 201,
    "generate/dry_run": 200,
    "generate/dynamic": 201,
    "generate/gradient": 201,
    "generate/idempotent": 201,
    "generate/japanese": 201,
    "generate/label_printer": 201,
    "generate/logo": 201,
    "generate/payment": 201,
    "generate/pdf": 201,
    "generate/rounded": 201,
    "generate/styled": 201,
    "generate/svg": 201,
    "generate/too_long": 422,
    "generate/unknown_field": 400,
    "generate/url": 201,
    "generate/wifi": 201,
    "manage/change": 200,
    "manage/end": 204,
    "manage/list": 200,
    "manage/read": 200,
    "manage/scans": 200,
    "manage/unconditional": 428,
    "pages/docs": 200,
    "pages/not_modified": 304,
    "pages/openapi": 200,
    "pages/root": 200,
    "redirect/head": 302,
    "redirect/preview": 200,
    "redirect/scan": 302,
    "redirect/typed": 302,
    "redirect/unknown": 404,
    "retrieve/head": 200,
    "retrieve/health": 200,
    "retrieve/health_head": 200,
    "retrieve/json": 200,
    "retrieve/not_found": 404,
    "retrieve/redirect": 302,
}
