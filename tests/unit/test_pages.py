"""GET of the pages: addresses, caching, and what they may load."""

import gzip
import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser

import pytest

from docs import openapi
from functions.pages import app
from tests.support.gateway import Context, event

LARGEST = 20 * 1024  # bytes of the page, compressed


def get(path, called, *, headers=None, domain="qr.shop.example", sent_by="https"):
    """Return the answer to a GET of a route by the path that a client called."""
    request = event("pages/docs")
    request["resource"] = path
    request["headers"] = {"X-Forwarded-Proto": sent_by, **(headers or {})}
    request["requestContext"] |= {"path": called, "domainName": domain}
    answer = app.handler(request, Context())
    answer["headers"] = {k: v for k, (v,) in answer["multiValueHeaders"].items()}
    return answer


def page():
    return get("/docs", "/prod/docs")["body"]


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
@pytest.mark.parametrize(
    ("prefix", "domain", "sent_by", "base"),
    [
        ("/prod", "a1.execute-api.eu-central-1.amazonaws.com", "https", None),
        ("", "qr.shop.example", "https", None),
        ("/codes/qr", "qr.shop.example", "https", None),
        ("", "127.0.0.1:3000", "http", "http://127.0.0.1:3000"),
        ("/<b>'&", "qr.shop.example", "ftp", "https://qr.shop.example/%3Cb%3E%27%26"),
        ("", "<script>", "https", "https://localhost"),
        ("", None, "https", "https://localhost"),
    ],
)
@pytest.mark.parametrize("slash", ["", "/"])
def test_a_document_has_the_address_that_it_was_called_by(
    path, prefix, domain, sent_by, base, slash
):
    called = f"{prefix}{path}{slash}"
    answer = get(path, called, domain=domain, sent_by=sent_by)
    assert answer["statusCode"] == 200
    assert (base or f"https://{domain}{prefix}") in answer["body"]
    assert app.BASE not in answer["body"]


def test_the_document_is_what_is_committed():
    answer = get("/openapi.json", "/openapi.json")
    served = answer["body"].replace("https://qr.shop.example", openapi.BASE)
    assert json.loads(served) == json.loads(openapi.text())


@pytest.mark.parametrize("path", ["/", "/docs", "/openapi.json"])
def test_a_client_that_has_the_document_gets_no_second_one(path):
    first = get(path, path)
    tag = first["headers"]["ETag"]
    assert first["headers"]["Cache-Control"] == "public, max-age=300"
    for name in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = get(path, path, headers={"if-none-match": name})
        assert (again["statusCode"], again["body"]) == (304, "")
        assert again["headers"]["ETag"] == tag
    for name in ('"other"', tag.strip('"')):
        assert get(path, path, headers={"If-None-Match": name})["statusCode"] == 200
    if path != "/":  # the studio finds out its address by itself
        assert get(path, f"/base{path}")["headers"]["ETag"] != tag


def test_the_policy_admits_the_page_itself_and_nothing_else():
    headers = get("/docs", "/docs")["headers"]
    rules = dict(
        rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; ")
    )
    for kind in ("style", "script"):
        (part,) = re.findall(f"<{kind}>(.*?)</{kind}>", page(), re.DOTALL)
        digest = b64encode(sha256(part.encode()).digest()).decode()
        assert rules.pop(f"{kind}-src") == f"'sha256-{digest}'"
    forbidden = ("default-src", "base-uri", "form-action", "frame-ancestors")
    assert rules == dict.fromkeys(forbidden, "'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"


class Page(HTMLParser):
    """Collects what a browser would load or run, and the names of all links."""

    def __init__(self):
        super().__init__()
        self.loaded, self.links, self.ids = [], [], set()

    def handle_starttag(self, tag, attributes):
        for name, value in attributes:
            if name in ("src", "style", "srcset") or name.startswith("on"):
                self.loaded.append((tag, name))
            if name == "href":
                self.links.append(value)
            if name == "id":
                self.ids.add(value)
        if tag in ("link", "img", "iframe", "object", "base", "form"):
            self.loaded.append((tag, ""))


def test_the_page_loads_nothing_and_its_links_lead_somewhere():
    found = Page()
    found.feed(page())
    assert found.loaded == []
    inside = {link[1:] for link in found.links if link.startswith("#")}
    assert inside <= found.ids
    assert {link for link in found.links if not link.startswith("#")} == {
        "openapi.json",
        "https://requests.readthedocs.io/",
    }


def test_the_page_is_small():
    assert len(gzip.compress(page().encode())) < LARGEST
