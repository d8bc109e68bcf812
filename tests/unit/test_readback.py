from collections import Counter
from dataclasses import replace
from io import BytesIO
from unittest.mock import patch

import pytest
import zxingcpp
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Raster
from PIL import ImageOps
from qr_service.engine import readback
from qr_service.engine.colours import luma
from qr_service.engine.images import Image, render
from qr_service.engine.readback import MIN_MARGIN, check_contrast, read, verify
from qr_service.engine.style import FORMATS, SHAPES, Gradient, Style
from qr_service.engine.symbol import LEVELS, encode
from qr_service.errors import DataTooLong, Unscannable

from tests.support.damage import equal_verdict
from tests.support.languages import TEXTS as LANGUAGES
from tests.support.scanners import needs_zbar, zbar_reads

# Any text that the contract accepts: all of Unicode except U+0000 and surrogates.
TEXTS = st.text(
    st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1
)
PAYLOADS = [
    "https://example.com/t/8f3a?seat=12&row=B",
    "WIFI:T:WPA;S:Café;P:pa\\;ss;;",
    "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Núñez;Ana\r\nEND:VCARD",
    "otpauth://totp/ACME:ana@example.com?secret=JBSWY3DPEHPK3PXP",
    "東京都千代田区1-1",
    "مرحبا بالعالم",
    "👩‍🚀🇯🇵 ok",
    "0123456789012345678901234567890",
    "HTTPS://EXAMPLE.COM/A1",
    "\x01\x1b\x7f\x85\u2028\ufeff",
    "x" * 2331,
]


@settings(max_examples=200, deadline=None)
@given(TEXTS, st.sampled_from(LEVELS), st.sampled_from([1, 2, 3, 10]))
def test_any_text_is_read_back_byte_for_byte(data, level, module_size):
    try:
        symbol = encode(data, level)
    except DataTooLong:
        return
    image = render(symbol, Style(module_size=module_size, border=2))
    assert read(image.body).payload == data.encode()


@needs_zbar
@pytest.mark.parametrize("data", [*PAYLOADS, *LANGUAGES])
@pytest.mark.parametrize("light", ["#ffffff", "transparent"])
def test_a_second_reader_reads_the_same_data(data, light):
    image = render(encode(data), Style(light=light, module_size=4))
    assert zbar_reads(image.body) == data.encode()


@pytest.mark.parametrize("data", LANGUAGES)
def test_text_is_announced_unless_that_is_not_wanted(data):
    announced, bare = encode(data), encode(data, eci="never")
    assert (announced.announced, bare.announced) == (True, False)
    verify(render(announced), data, announced=True)
    verify(render(bare), data)


@needs_zbar
def test_without_the_announcement_a_reader_guesses_wrong():
    guessed = [zbar_reads(render(encode(text, eci="never")).body) for text in LANGUAGES]
    wrong = [
        text
        for text, read in zip(LANGUAGES, guessed, strict=True)
        if read != text.encode()
    ]
    assert len(wrong) > 10


def test_ascii_is_never_announced():
    """Hardware scanners print the announcement."""
    for data in PAYLOADS:
        assert encode(data).announced is not data.isascii()
        assert encode(data) == encode(data, eci="never") or not data.isascii()


def test_a_text_that_is_announced_wrongly_is_refused():
    """The bytes are right, but a scanner shows other characters."""
    image = render(encode("Käse", eci="never"))
    verify(image, "Käse")
    reading = read(image.body)
    found = replace(reading, text="Kﾃ､se")
    with patch.object(readback, "read", lambda *_, **__: found):
        verify(image, "Käse")
        with pytest.raises(Unscannable):
            verify(image, "Käse", announced=True)


@pytest.mark.parametrize("data", PAYLOADS)
def test_real_payloads_are_verified(data):
    verify(render(encode(data), Style()), data)


def test_an_image_of_other_data_is_refused():
    image = render(encode("one"), Style())
    verify(image, "one")
    with pytest.raises(Unscannable):
        verify(image, "two")


def test_a_damaged_image_is_refused():
    image = render(encode("x" * 200), Style())
    raster = Raster.open(BytesIO(image.body)).convert("L")
    raster.paste(255, (0, 0, raster.width // 2, raster.height // 2))
    file = BytesIO()
    raster.save(file, "PNG")
    with pytest.raises(Unscannable) as error:
        verify(Image(file.getvalue(), "image/png", image.width), "x" * 200)
    assert error.value.code == "unscannable"


def test_an_inverted_image_is_refused():
    image = render(encode("dark on light"), Style())
    file = BytesIO()
    Raster.open(BytesIO(image.body)).convert("L").point(lambda v: 255 - v).save(
        file, "PNG"
    )
    assert read(file.getvalue()) is None


STYLE = Style()


@pytest.mark.parametrize(
    ("dark", "light"),
    [
        ("#ffffff", "#000000"),  # inverted
        ("#000000", "#000000"),
        ("#ffff00", "#ffffff"),
        ("#cccccc", "transparent"),
        ("#000000", "#a0a0a0"),
        # Enough contrast, but jsQR and ZXing's ports see a flat light area.
        ("#7f7f7f", "#ffffff"),
        ("#4caf50", "#ffffff"),
        ("#999999", "transparent"),
    ],
)
def test_too_little_contrast_is_refused_with_a_colour_that_has_enough(dark, light):
    with pytest.raises(Unscannable) as error:
        check_contrast(replace(STYLE, dark=dark, light=light))
    assert error.value.fields["field"] == "dark"
    allowed = error.value.fields["allowed"]
    if allowed.startswith("#"):
        check_contrast(replace(STYLE, dark=allowed, light=light))
        assert luma(allowed) > 0.8 * min(luma(dark), luma(light) / 2) - 2
    else:
        assert allowed == "a lighter `light`"
        with pytest.raises(Unscannable):
            check_contrast(replace(STYLE, dark="#000000", light=light))


@needs_zbar
@pytest.mark.parametrize(
    ("dark", "light"),
    [
        ("#000000", "#ffffff"),
        ("#1a3c8f", "#fff8e7"),
        ("#8b0000", "transparent"),
        ("#000000", "#b0b0b0"),
        ("#7e7e7e", "#ffffff"),
    ],
)
def test_both_readers_read_a_code_with_enough_contrast(dark, light):
    style = replace(STYLE, dark=dark, light=light)
    check_contrast(style)
    image = render(encode("https://example.com"), style)
    verify(image, "https://example.com")
    assert zbar_reads(image.body) == b"https://example.com"


@pytest.mark.parametrize("shape", SHAPES)
def test_an_svg_is_verified_from_its_own_path(shape):
    style = Style(format="svg", shape=shape)
    image = render(encode("from the path"), style)
    assert verify(image, "from the path") == 1
    start, path, end = image.body.rpartition(b' d="')
    cut = end.lower().index(b"m", len(end) // 2)
    half = path + end[:cut] + b'"/></svg>'
    with pytest.raises(Unscannable):
        verify(replace(image, body=start + half), "from the path")


@pytest.mark.parametrize("shape", ["circle", "gapped"])
def test_finder_eyes_that_are_not_solid_are_refused(shape):
    """The check does not rely on the code that draws them."""
    symbol = encode("hollow eyes")
    rows = tuple(row[:-1] + "0" for row in symbol.rows)
    shown = symbol.size - 7
    rows = tuple(
        ("0" * 7 + row[7:shown] + "0" * 7) if index < 7 else row
        for index, row in enumerate(rows)
    )
    assert read(render(replace(symbol, rows=rows), Style(shape=shape)).body) is None


def test_two_codes_in_one_image_are_refused():
    one = Raster.open(BytesIO(render(encode("one")).body)).convert("L")
    both = Raster.new("L", (2 * one.width, one.height), 255)
    both.paste(one, (0, 0))
    both.paste(one, (one.width, 0))
    file = BytesIO()
    both.save(file, "PNG")
    assert read(file.getvalue()) is None


def test_a_margin_that_is_too_small_is_refused():
    """A square of dirt grows until the margin is too small."""
    symbol = encode("x" * 60, "Q")
    margins = []
    for dirt in range(0, 20, 2):
        start = symbol.size // 2 - dirt // 2
        rows = tuple(
            row[:start] + "1" * dirt + row[start + dirt :]
            if start <= index < start + dirt
            else row
            for index, row in enumerate(symbol.rows)
        )
        image = render(replace(symbol, rows=rows))
        reading = read(image.body)
        margins.append(reading.margin if reading else 0)
        if margins[-1] < MIN_MARGIN:
            with pytest.raises(Unscannable):
                verify(image, "x" * 60)
        else:
            assert verify(image, "x" * 60) == margins[-1]
    assert margins == sorted(margins, reverse=True)
    assert margins[0] == 1
    assert margins[-1] < MIN_MARGIN


@pytest.mark.parametrize(
    ("dark", "to", "field"),
    [("#000000", "#ffff00", "gradient"), ("#dddddd", "#000000", "dark")],
)
def test_both_ends_of_a_gradient_need_contrast(dark, to, field):
    with pytest.raises(Unscannable) as error:
        check_contrast(replace(STYLE, dark=dark, gradient=Gradient("linear", to)))
    assert error.value.fields["field"] == field


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("border", [2, 4, 20])
def test_the_quiet_zone_is_measured_in_the_picture(form, shape, border):
    style = Style(format=form, shape=shape, border=border, light="#f0f0f0")
    reading = read(render(encode("quiet zone"), style).body)
    assert reading.quiet_zone == pytest.approx(border, abs=0.1)


def test_a_narrow_quiet_zone_is_refused_even_if_zxing_reads_it():
    image = render(encode("quiet zone"), Style(border=1))
    assert read(image.body).payload == b"quiet zone"
    with pytest.raises(Unscannable) as error:
        verify(image, "quiet zone")
    assert error.value.fields["field"] == "border"


def test_a_perfect_symbol_that_was_sampled_badly_is_read_again():
    # At 2 pixels a module, zxing-cpp needs most of this symbol's error correction.
    image = render(encode("0ffj7", "L"), Style(module_size=2))
    assert read(image.body).margin < 0.4
    assert verify(image, "0ffj7") >= 0.8


def test_a_micro_qr_code_is_no_qr_code():
    made = zxingcpp.create_barcode("12345", zxingcpp.BarcodeFormat.MicroQRCode)
    picture = Raster.fromarray(made.to_image(scale=10))
    file = BytesIO()
    ImageOps.expand(picture, 40, 255).save(file, "PNG")
    assert read(file.getvalue()) is None


# --------------------------------------------------------------- the smaller picture


def test_the_smaller_picture_changes_no_verdict():
    verdicts = Counter()
    for seed in range(400):  # 1,500 more in `make acceptance`
        verdicts[equal_verdict(seed)] += 1
    assert min(verdicts.values()) > 50


@pytest.mark.parametrize(
    ("module_size", "side"),
    [(10, 2), (5, 2), (7, 2), (16, 2), (40, 4), (4, 2), (3, 2), (2, 2), (1, 1)],
)
def test_modules_are_scanned_at_two_pixels_where_possible(module_size, side):
    symbol = encode("small")
    picture = readback._pixels(render(symbol, Style(module_size=module_size)).body)
    small = readback._reduced(picture, module_size)
    assert (small or picture).width == side * (symbol.size + 8)


def test_one_pixel_of_another_shade_is_scanned_in_full():
    picture = readback._pixels(render(encode("small"), Style(module_size=15)).body)
    assert readback._reduced(picture, 15)
    picture.putpixel((200, 200), 255 - picture.getpixel((200, 200)))
    assert readback._reduced(picture, 15) is None
