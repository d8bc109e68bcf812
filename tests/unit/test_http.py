import base64
import json
from http import HTTPStatus

import pytest
from aws_lambda_powertools.utilities.data_classes import APIGatewayProxyEvent
from qr_service.edge import http
from qr_service.errors import BadRequest, DatabaseUnavailable, DataTooLong

from tests.support.gateway import Context, event, get_health, post_generate


def api(answer):
    """Return a handler of both routes that calls `answer`."""
    app = http.resolver()
    app.post("/generate")(answer)
    app.get("/health")(answer)
    return http.entrypoint(app)


def raising(error):
    def answer():
        raise error

    return answer


def test_an_error_is_a_problem_document_with_its_own_fields():
    error = DataTooLong("Too long.", field="data", bits_needed=9)
    reply = post_generate(api(raising(error)), {})
    assert reply.status == 422
    assert reply.headers["content-type"] == "application/problem+json"
    assert reply.headers["cache-control"] == "no-store"
    request_id = event("generate/url")["requestContext"]["requestId"]
    assert reply.body == {
        "type": "about:blank",
        "title": HTTPStatus(422).phrase,
        "status": 422,
        "code": "data_too_long",
        "detail": "Too long.",
        "request_id": request_id,
        "field": "data",
        "bits_needed": 9,
    }


def test_an_unavailable_service_says_when_to_retry():
    reply = get_health(api(raising(DatabaseUnavailable(maybe_executed=False))))
    assert reply.status == 503
    assert int(reply.headers["retry-after"]) > 0


def test_an_unexpected_error_is_hidden_from_the_client(log, capsys):
    reply = get_health(api(raising(ValueError("the payload"))))
    assert reply.status == 500
    assert reply.body["code"] == "internal_error"
    assert "the payload" not in json.dumps(reply.body)
    logged = next(line for line in log() if line["level"] == "ERROR")
    assert logged["error"] == "ValueError"
    assert any("test_http.py" in frame for frame in logged["trace"])
    assert "the payload" not in json.dumps(log())
    assert '"ServerErrors":[1.0]' in capsys.readouterr().out  # the metric


def test_each_request_logs_one_line(log):
    reply = get_health(api(lambda: http.respond(200, {"status": "ok"})))
    assert reply.status == 200
    (line,) = log()
    assert (line["route"], line["status"]) == ("GET /health", 200)
    assert line["duration_ms"] >= 0
    context = event("retrieve/health")["requestContext"]
    assert line["request_id"] == context["requestId"]


def test_browsers_of_the_allowed_origin_may_read_every_response():
    for answer in (lambda: http.respond(200, {}), raising(BadRequest("x", "x"))):
        headers = get_health(api(answer)).headers
        assert headers["access-control-allow-origin"] == "*"
        assert "Location" in headers["access-control-expose-headers"]


def test_an_unknown_route_returns_a_problem_document():
    request = event("retrieve/health") | {"path": "/nowhere", "resource": "/nowhere"}
    answer = api(lambda: None)(request, Context())
    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["code"] == "not_found"


@pytest.mark.parametrize(
    ("full_path", "path", "link"),
    [
        ("/generate", "/generate", "/retrieve/1"),
        ("/dev/generate", "/generate", "/dev/retrieve/1"),
        ("/dev/generate/", "/generate/", "/dev/retrieve/1"),
        # Both paths contain a custom domain's base path.
        ("/codes/v1/generate", "/codes/v1/generate", "/codes/v1/retrieve/1"),
    ],
)
def test_links_keep_the_stage_or_base_path(full_path, path, link):
    request = event("generate/url") | {"path": path}
    request["requestContext"]["path"] = full_path
    request["headers"]["Host"] = "evil.example"
    assert http.link_to(APIGatewayProxyEvent(request), "/retrieve/1") == link


def test_routing_ignores_a_custom_domains_base_path():
    request = event("retrieve/health") | {"path": "/codes/v1/health"}
    answer = api(lambda: http.respond(200, {}))(request, Context())
    assert answer["statusCode"] == 200


def test_a_base64_body_is_decoded():
    request = event("generate/url")
    request |= {"body": base64.b64encode(b"\xff{}").decode(), "isBase64Encoded": True}
    assert http.body_of(APIGatewayProxyEvent(request)) == b"\xff{}"


@pytest.mark.parametrize(
    ("body", "encoded"), [("not base64!", True), ("é", True), ("\ud800", False)]
)
def test_a_body_that_is_not_text_is_refused(body, encoded):
    request = event("generate/url") | {"body": body, "isBase64Encoded": encoded}
    with pytest.raises(BadRequest):
        http.body_of(APIGatewayProxyEvent(request))
