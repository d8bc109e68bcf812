"""The studio as people use it: typing, looking, taking a file that scans."""

import re
import subprocess
import sys
from base64 import b64encode
from contextlib import contextmanager
from pathlib import Path
from statistics import median

import axe_playwright_python
import pytest
from qr_service.engine.readback import read

from local.project import ROOT
from tests.support.parsers import PARSERS, fields_of, meant
from tests.support.scanners import needs_zbar, zbar_reads

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 900}


@contextmanager
def opened(browser, service, **options):
    """Yield the page; no console error, no error, and no request to another host."""
    context = browser.new_context(
        **{"viewport": DESKTOP, "accept_downloads": True, **options}
    )
    context.grant_permissions(["clipboard-read", "clipboard-write"], origin=service)
    page = context.new_page()
    page.set_default_timeout(10_000)
    wrong, hosts = [], set()
    page.on(
        "console",
        lambda said: wrong.append(said.text) if said.type == "error" else None,
    )
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "request", lambda sent: hosts.add(re.sub(r"^(data|blob):.*", r"\1:", sent.url))
    )
    page.goto(service)
    yield page
    context.close()
    refusal = "Failed to load resource"  # which the page shows in words
    assert not [text for text in wrong if not text.startswith(refusal)]
    assert all(host.startswith((service, "data:", "blob:")) for host in hosts), hosts


def drawn(page):
    """Wait until the picture is that of the form; return its bytes."""
    page.wait_for_selector("#paper:not(.old) #picture[src]")
    return page.locator("#picture")


def filled(page, kind, fields):
    page.check(f"#p-{kind}", force=True)
    for name, value in fields.items():
        locator = page.locator(f"[id='f-{name}']")
        if isinstance(value, bool):
            locator.set_checked(value)
        elif locator.evaluate("each => each.tagName") == "SELECT":
            locator.select_option(value)
        else:
            locator.fill(value)


def created(page):
    page.click("#form button.main")
    page.wait_for_selector("#made:not([hidden])")


def downloaded(page, form):
    with page.expect_download() as download:
        page.click(f"text='Download {form.upper()}'")
    return Path(download.value.path()).read_bytes(), download.value.suggested_filename


FILLED = {
    "link": {"data": "https://example.com/menu?table=12"},
    "text": {"data": "Line one\nLine two"},
    "wifi": {"content.ssid": "Cafe; one", "content.password": "correct horse"},
    "vcard": {
        "content.name": "Jane Doe",
        "content.phone": "+1-201-555-0123",
        "content.email": "jane@example.com",
        "content.note": "Met at the fair.\nCall back!",
    },
    "event": {
        "content.title": "Opening",
        "content.start": "2030-06-01T18:00",
        "content.end": "2030-06-01T22:30",
    },
    "email": {"content.to": "jane@example.com", "content.subject": "Table & chair"},
    "sms": {"content.number": "+15105550101", "content.message": "hello there"},
    "tel": {"content.number": "+1-201-555-0123"},
    "geo": {"content.latitude": "48.20849", "content.longitude": "-16.37208"},
    "epc": {
        "content.name": "Red Cross of Belgium",
        "content.iban": "BE72 0000 0000 1616",
        "content.amount": "12.3",
    },
    "gs1_link": {"content.gtin": "9520123456788", "content.expiry": "2030-04-26"},
}


def test_every_type_of_content_is_offered():
    assert {*FILLED} - {"link", "text"} == {*PARSERS}


@needs_zbar
@pytest.mark.parametrize("kind", FILLED)
def test_from_typing_to_a_file_that_scans(browser, service, kind):
    with opened(browser, service, timezone_id="UTC") as page:
        filled(page, kind, FILLED[kind])
        drawn(page)
        created(page)
        for form in ("png", "svg", "pdf", "eps"):
            body, name = downloaded(page, form)
            assert re.fullmatch(rf"code-[0-9a-f]{{8}}\.{form}", name)
            text = read(body).payload.decode()
            assert zbar_reads(body) == text.encode()
            if kind in PARSERS:
                understood = meant(fields_of(kind, text))
                for field, value in FILLED[kind].items():
                    wanted = as_read(field.removeprefix("content."), value)
                    assert understood[field.removeprefix("content.")] == wanted
            else:
                assert text == FILLED[kind]["data"]


def as_read(name, value):
    if name in ("latitude", "longitude", "amount"):
        return float(value)
    if name in ("start", "end"):
        value = f"{value}:00Z"
    if name == "gtin":
        value = value.zfill(14)
    return meant({"type": "", name: value})[name]


def test_what_is_shown_is_what_is_stored(browser, service):
    with opened(browser, service) as page:
        page.fill("#f-data", "https://example.com/shown")
        page.wait_for_timeout(300)
        shown = drawn(page).get_attribute("data-shown")
        created(page)
        body, _ = downloaded(page, "png")
        assert shown.endswith(b64encode(body).decode())


def refused(page):
    """Choose a colour that is too bright; the way out is offered beside it."""
    page.click("#look summary")
    page.fill("#f-dark", "#ffee00")
    page.wait_for_selector(".remedy")


def with_codes(page):
    """Show the list, with a name as long as it may be, and the editor of its code."""
    page.fill("#f-label", "x" * 100)
    created(page)
    page.click("#codes-show")
    page.locator("#codes-list li").first.get_by_role("button", name="Edit").click()


STATES = {
    "empty": lambda page: page.fill("#f-data", ""),
    "filled": lambda page: page.fill("#f-data", "https://example.com/filled"),
    "refused": refused,
    "open": lambda page: page.evaluate(
        "document.querySelectorAll('details').forEach(each => { each.open = true; })"
    ),
    "without a key": lambda page: page.evaluate("void askForKey()"),
    "made": created,
    "with codes": with_codes,
}


@pytest.mark.parametrize("look", ["light", "dark"])
@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("state", STATES)
def test_axe_finds_nothing_in_any_state(browser, service, state, size, look):
    with opened(
        browser, service, viewport=size, color_scheme=look, bypass_csp=True
    ) as page:
        drawn(page)
        STATES[state](page)
        page.wait_for_timeout(400)
        page.evaluate(AXE)
        found = page.evaluate("axe.run()")
        assert [each["id"] for each in found["violations"]] == []
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= size["width"], "nothing is wider than the screen"


def test_a_refusal_is_beside_its_field_with_a_way_out_at_one_click(browser, service):
    with opened(browser, service) as page:
        drawn(page)
        refused(page)
        assert page.get_attribute("#f-dark", "aria-invalid") == "true"
        assert "dark enough" in page.inner_text("#f-dark-error")
        page.click(".remedy")
        drawn(page)
        assert page.get_attribute("#f-dark", "aria-invalid") is None
        assert page.input_value("#f-dark") != "#ffee00"
        assert page.locator(".remedy").count() == 0


REFUSED = {
    "content.iban": ("epc", {"content.name": "A", "content.iban": "BE72000000001617"}),
    "content.password": ("wifi", {"content.ssid": "a", "content.password": "short"}),
    "content.gtin": ("gs1_link", {"content.gtin": "9520123456789"}),
    "content.number": ("tel", {"content.number": "call me"}),
    "content.end": (
        "event",
        {
            "content.title": "a",
            "content.start": "2030-06-01T18:00",
            "content.end": "2030-06-01T17:00",
        },
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_each_mistake_is_shown_where_it_was_made(browser, service, name):
    kind, fields = REFUSED[name]
    with opened(browser, service) as page:
        filled(page, kind, fields)
        page.wait_for_selector(f"[id='f-{name}'][aria-invalid=true]")
        assert page.inner_text(f"[id='f-{name}-error']")


def test_a_printed_size_that_is_too_small_is_mended_at_one_click(browser, service):
    with opened(browser, service) as page:
        page.click("#print summary")
        page.select_option("#f-size", "size_mm")
        page.fill("#f-size_mm", "6")
        page.wait_for_selector("#f-size_mm[aria-invalid=true]")
        page.click(".remedy")
        drawn(page)
        assert float(page.input_value("#f-size_mm")) > 6
        assert "mm wide" in page.inner_text("#status")


def test_the_keyboard_alone_is_enough(browser, service):
    with opened(browser, service) as page:
        drawn(page)
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.value") == "link"
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.value") == "text"
        page.keyboard.press("Tab")
        page.keyboard.type("typed by hand")
        drawn(page)
        page.keyboard.press("Control+Home")
        for _ in range(30):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.matches('button.main')"):
                break
        page.keyboard.press("NumpadEnter")
        page.wait_for_selector("#made:not([hidden])")
        assert page.evaluate("document.activeElement.id") == "made"
        body, _ = downloaded(page, "png")
        assert read(body).text == "typed by hand"


def test_a_silent_service_is_said_and_tried_again(browser, service):
    with opened(browser, service) as page:
        drawn(page)
        page.route("**/generate**", lambda route: route.abort())
        page.fill("#f-data", "https://example.com/silent")
        page.wait_for_selector("#status.wrong")
        page.unroute("**/generate**")
        drawn(page)
        assert "pixels" in page.inner_text("#status")


def test_a_slow_service_shows_the_last_picture_as_old(browser, service):
    with opened(browser, service) as page:
        drawn(page)
        held = []

        def hold(route):
            held.append(route)

        page.route("**/generate**", hold)
        for text in ("https://example.com/1", "https://example.com/12"):
            page.fill("#f-data", text)
            page.wait_for_timeout(200)
            assert page.locator("#paper.old").count() == 1
        held[-1].continue_()  # the first one was overtaken, and given up
        page.unroute("**/generate**")
        drawn(page)
        created(page)
        body, _ = downloaded(page, "png")
        assert read(body).text == "https://example.com/12"


def test_a_throttled_service_is_waited_for(browser, service):
    answers = iter([429, 429])

    def throttled(route):
        if next(answers, None):
            route.fulfill(
                status=429,
                headers={"Retry-After": "1"},
                json={"code": "throttled", "detail": "Too many requests."},
            )
        else:
            route.continue_()

    with opened(browser, service) as page:
        drawn(page)
        page.route("**/generate**", throttled)
        page.fill("#f-data", "https://example.com/throttled")
        page.wait_for_selector("#status:has-text('Too many requests')")
        drawn(page)


def test_a_key_is_wanted_once_and_forgotten_at_a_click(browser, service):
    """Locally none is needed, so the gateway's refusal is played here."""
    sent = []

    def guarded(route):
        sent.append(route.request.headers.get("x-api-key"))
        if sent[-1] == "right key":
            route.continue_()
        else:
            route.fulfill(status=403, json={"code": "forbidden", "detail": "Forbidden"})

    with opened(browser, service) as page:
        drawn(page)
        page.route("**/generate**", guarded)
        page.fill("#f-data", "https://example.com/key")
        page.wait_for_selector("#ask[open]")
        page.fill("#key", "wrong key")
        page.keyboard.press("NumpadEnter")
        while len(sent) < len([None, "wrong key"]):
            page.wait_for_timeout(20)
        page.wait_for_selector("#ask[open]")
        page.fill("#key", "right key")
        page.keyboard.press("NumpadEnter")
        drawn(page)
        created(page)
        assert sent[:2] == [None, "wrong key"]
        assert {*sent[2:]} == {"right key"}
        assert "right key" not in page.url
        assert page.evaluate("Object.keys(localStorage).length") == 0
        page.click("#forget")
        assert page.evaluate("sessionStorage.length") == 0


def test_who_declines_to_give_a_key_is_left_alone_until_they_create(browser, service):
    def guarded(route):
        route.fulfill(status=403, json={"code": "forbidden", "detail": "Forbidden"})

    with opened(browser, service) as page:
        drawn(page)
        page.route("**/generate**", guarded)
        page.fill("#f-data", "https://example.com/key")
        page.wait_for_selector("#ask[open]")
        page.click("#ask button:not(.main)")
        page.wait_for_selector("#status.wrong")
        page.fill("#f-data", "https://example.com/again")
        page.wait_for_timeout(300)
        assert page.locator("#ask[open]").count() == 0
        page.click("#form button.main")
        page.wait_for_selector("#ask[open]")


def test_what_came_from_somebody_is_shown_as_text(browser, service):
    evil = "<img src=x onerror=alert(1)>"
    with opened(browser, service) as page:
        page.on("dialog", lambda dialog: pytest.fail(dialog.message))
        filled(page, "text", {"data": evil})
        page.fill("#f-label", evil)
        drawn(page)
        created(page)
        assert evil in page.get_attribute("#made img", "alt")
        assert page.locator("#made img").count() == 1


def test_the_calls_that_are_copied_work(browser, service, tmp_path):
    with opened(browser, service) as page:
        page.fill("#f-data", "https://example.com/it's")
        drawn(page)
        created(page)
        for name, command in (
            ("curl", ["sh", "-c"]),
            ("Python", [sys.executable, "-c"]),
        ):
            page.click(f"text='Copy as {name}'")
            copied = page.evaluate("navigator.clipboard.readText()")
            done = subprocess.run(
                [*command, copied],
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            assert '"qr_id"' in done.stdout.replace("'", '"')


def test_a_dynamic_code_has_a_short_link_in_every_format(browser, service):
    with opened(browser, service) as page:
        page.fill("#f-data", "https://example.com/dynamic")
        assert not page.locator("#f-expired_url").is_visible()
        page.check("#f-dynamic")
        page.fill("#f-expired_url", "https://example.com/over")
        page.uncheck("#f-count")
        drawn(page)
        with page.expect_request("**/generate?include=image") as sent:
            created(page)
        body = sent.value.post_data_json
        assert body["expired_url"] == "https://example.com/over"
        assert (body["dynamic"], body["count"]) == (True, False)
        page.click("text='Copy the short link'")
        short = page.evaluate("navigator.clipboard.readText()")
        assert "/s/" in short
        for form in ("png", "svg", "pdf", "eps"):
            body, _ = downloaded(page, form)
            assert read(body).text == short


@pytest.mark.parametrize("preset", ["Rounded", "Dots", "Evening", "Plain"])
def test_every_preset_scans(browser, service, preset):
    with opened(browser, service) as page:
        page.click("#look summary")
        page.click(f"text='{preset}'")
        drawn(page)
        created(page)
        body, _ = downloaded(page, "png")
        assert zbar_reads(body) == b"https://example.com/"


def test_a_logo_is_taken_from_a_file(browser, service):
    mark = ROOT / "docs" / "pictures" / "mark.png"
    with opened(browser, service) as page:
        page.click("#look summary")
        page.set_input_files("#f-logo", mark)
        drawn(page)
        created(page)
        assert page.locator("text='Download PDF'").is_disabled()
        body, _ = downloaded(page, "png")
        assert read(body).margin < 1
        page.click("#no-logo")
        drawn(page)


def test_a_lost_answer_makes_no_second_code(browser, service):
    """The request arrives, its answer does not; then somebody clicks again."""
    keys = []

    def lost(route):
        keys.append(route.request.headers["idempotency-key"])
        route.fetch()
        route.abort()

    with opened(browser, service) as page:
        page.fill("#f-data", "https://example.com/lost")
        drawn(page)
        page.route("**/generate?include=image", lost)
        page.click("#form button.main")
        page.wait_for_selector("#status.wrong:has-text('no second one')")
        page.wait_for_timeout(400)
        assert "no second one" in page.inner_text("#status"), "it stays until a change"
        page.unroute("**/generate?include=image")
        with page.expect_request("**/generate?include=image") as again:
            created(page)
        assert again.value.headers["idempotency-key"] == keys[0]
        replayed = again.value.response().headers["idempotency-replayed"]
        assert replayed == "true"


def test_an_owner_edits_counts_and_ends_a_code(browser, service):
    with opened(browser, service) as page:
        page.fill("#f-data", "https://example.com/first")
        page.check("#f-dynamic")
        page.fill("#f-label", "Terrace <b>")
        drawn(page)
        created(page)
        page.click("text='Copy the short link'")
        short = page.evaluate("navigator.clipboard.readText()")
        page.click("#codes-show")
        code = page.locator("#codes-list li").first
        assert code.locator("h3").inner_text() == "Terrace <b>"
        code.get_by_role("button", name="Edit").click()
        code.get_by_label("Address").fill("https://example.com/second")
        code.get_by_label("Lives from now on for").select_option("168")
        code.get_by_role("button", name="Save").click()
        page.wait_for_selector("#codes-list li:first-child:has-text('/second')")
        assert "in 6 days" in code.inner_text() or "in 7 days" in code.inner_text()
        found = page.context.request.get(short, max_redirects=0)
        assert found.headers["location"] == "https://example.com/second"
        code.get_by_role("button", name="Scans").click()
        page.wait_for_selector(".chart")
        page.on("dialog", lambda dialog: dialog.accept())
        code.get_by_role("button", name="End now").click()
        page.wait_for_selector("#codes-status:has-text('has ended')")
        assert page.context.request.get(short, max_redirects=0).status in (302, 410)


def test_an_edit_never_undoes_that_of_somebody_else(browser, service):
    with opened(browser, service) as page:
        page.check("#f-dynamic")
        drawn(page)
        created(page)
        page.click("#codes-show")
        code = page.locator("#codes-list li").first
        code.get_by_role("button", name="Edit").click()
        code.get_by_label("Address").fill("https://example.com/mine")
        qr_id = code.get_by_label("Address").get_attribute("id")[: -len("-data")]
        path, request = f"{service}/codes/{qr_id}", page.context.request
        tag = request.get(path).headers["etag"]
        theirs = {"data": "https://example.com/theirs"}
        done = request.patch(path, data=theirs, headers={"If-Match": tag})
        assert done.ok
        code.get_by_role("button", name="Save").click()
        page.wait_for_selector("#codes-list li:first-child:has-text('was changed')")
        assert request.get(path).json()["data"] == theirs["data"]


def test_a_mistake_in_an_edit_is_said_beside_the_code(browser, service):
    with opened(browser, service) as page:
        page.check("#f-dynamic")
        drawn(page)
        created(page)
        page.click("#codes-show")
        code = page.locator("#codes-list li").first
        code.get_by_role("button", name="Edit").click()
        code.get_by_label("Address").fill("no address")
        code.get_by_role("button", name="Save").click()
        page.wait_for_selector(
            "#codes-list li:first-child:has-text('http or https URI')"
        )


def test_codes_are_remembered_only_if_somebody_wants_it(browser, service):
    with opened(browser, service) as page:
        filled(page, "text", {"data": "kept"})
        drawn(page)
        created(page)
        assert page.evaluate("localStorage.length") == 0
        page.check("#f-remember")
        page.reload()
        assert page.locator("#remembered-list li").count() == 1
        assert "kept" in page.inner_text("#remembered-list")
        filled(page, "text", {"data": "second"})
        drawn(page)
        created(page)
        assert page.locator("#remembered-list li").count() == 2
        page.click("#remembered-forget")
        assert page.evaluate("localStorage.length") == 0
        assert not page.locator("#remembered").is_visible()


# When somebody typed last, and when the picture was there, in milliseconds.
TIMES = """
window.typed = 0;
window.drawn = [];
document.addEventListener("input", () => { window.typed = performance.now(); }, true);
document.addEventListener("load", (event) => {
  if (event.target.id === "picture") window.drawn.push(performance.now());
}, true);
"""


def test_the_picture_is_there_at_once(browser, service, measured):
    """The medians are in the summary; the first page of a run is not counted."""
    first, later = [], []
    for opening in range(6):
        context = browser.new_context(viewport=DESKTOP, bypass_csp=True)
        page = context.new_page()
        page.add_init_script(TIMES)
        page.goto(service)
        page.wait_for_function("() => window.drawn.length > 0")
        if opening:
            first.append(page.evaluate("window.drawn[0]"))
        for number in range(5):
            page.evaluate("() => { window.drawn = []; }")
            page.type("#f-data", str(number), delay=30)
            page.wait_for_function("() => window.drawn.length > 0")
            later.append(page.evaluate("window.drawn.at(-1) - window.typed"))
        context.close()
    measured(
        f"studio: the first picture {median(first):.0f} ms after opening, "
        f"a changed one {median(later):.0f} ms after the last key"
    )
