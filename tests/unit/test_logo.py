"""Logos: what they hide, which are refused, and that two readers read all others."""

import random
from collections import Counter
from dataclasses import replace
from functools import cache
from io import BytesIO

import pytest
from PIL import Image as Raster
from qr_service.engine import logo as logos
from qr_service.engine.images import render
from qr_service.engine.readback import read
from qr_service.engine.style import BLENDED_FORMATS, Style
from qr_service.engine.svg import rasterise
from qr_service.engine.symbol import LEVELS, encode
from qr_service.errors import BadRequest, Unscannable
from qr_service.proving import prove
from qrcode import util

from tests.support import iso18004, requests
from tests.support.logos import (
    LOGOS,
    checked,
    data_url,
    file,
    hostile,
    letter,
    png,
    qr_code,
    random_request,
    steep_profile,
    unusual,
)
from tests.support.proofs import check
from tests.support.scanners import needs_zbar, zbar_reads

DATA = "https://example.com/logo"


def request(**style):
    return requests.request(DATA, "M", Style(**style))


# --------------------------------------------------------------------- the arithmetic


@pytest.mark.parametrize("version", [1, 2, 5, 7, 14, 22, 40])
@pytest.mark.parametrize("level", LEVELS)
def test_the_damage_is_that_of_the_worst_block(version, level):
    size = 17 + 4 * version
    for cleared in {1, 3, 5, size // 5 | 1, size // 3 | 1}:
        found = logos.damage(version, level, cleared)
        assert found == pytest.approx(iso18004.damage(version, level, cleared))


@pytest.mark.parametrize("seed", range(40))
def test_a_scanner_needs_as_much_correction_as_computed(seed):
    """Every module under the logo is inverted, so each codeword there is wrong."""
    rng = random.Random(seed)
    level = rng.choice(LEVELS)
    data = "".join(rng.choices("abcdefgh", k=rng.randint(1, 400)))
    symbol = encode(data, level)
    largest = logos.largest_clearing(symbol.version, symbol.level)
    for cleared in range(1, largest + 1, 2):
        start = (symbol.size - cleared) // 2
        square = range(start, start + cleared)
        rows = tuple(
            "".join(
                "10"[module == "1"] if row in square and column in square else module
                for column, module in enumerate(text)
            )
            for row, text in enumerate(symbol.rows)
        )
        reading = read(render(replace(symbol, rows=rows)).body)
        assert reading.payload == data.encode()
        needed = logos.damage(symbol.version, symbol.level, cleared)
        # zxing-cpp counts an odd correction codeword as half an error more, and reports
        # two digits.
        assert 1 - needed - 0.01 <= reading.margin <= 1 - needed + 0.03


@cache
def largest_clearings():
    return {
        (version, level): logos.largest_clearing(version, level)
        for version in range(1, 41)
        for level in LEVELS
    }


def test_the_largest_clearing_is_the_largest_within_the_budget():
    for (version, level), room in largest_clearings().items():
        assert room == 0 or logos.damage(version, level, room) <= logos.BUDGET
        next_ = room + 2 if room else 1
        if next_ <= 17 + 4 * version - 2 * 9 and not touches_alignment(version, next_):
            assert logos.damage(version, level, next_) > logos.BUDGET


def touches_alignment(version, cleared):
    """Return whether any module in the middle belongs to an alignment pattern."""
    start = (17 + 4 * version - cleared) // 2
    hidden = set(range(start, start + cleared))
    patterns = (
        range(centre - 2, centre + 3) for centre in util.pattern_position(version)
    )
    return any(hidden & set(pattern) for pattern in patterns)


def test_no_logo_hides_an_alignment_pattern():
    for (version, _), room in largest_clearings().items():
        assert room == 0 or not touches_alignment(version, room)
    assert largest_clearings()[7, "H"] == 0, "an alignment pattern is in the middle"
    assert largest_clearings()[14, "H"] > 0


def test_no_clearing_touches_finder_or_timing_patterns():
    for (version, _), room in largest_clearings().items():
        start = (17 + 4 * version - room) // 2
        assert start >= 9, "finder eyes, format information and timing patterns"


@pytest.mark.parametrize("side", [21, 45, 177])
@pytest.mark.parametrize("size", [0.05, 0.1, 1 / 3, 0.2, 0.5])
def test_a_clearing_is_the_smallest_odd_square_around_the_logo(side, size):
    cleared = logos.clearing(side, size)
    assert cleared % 2 == 1
    assert cleared >= size * side - 1e-6
    assert cleared == 1 or cleared - 2 < size * side


# ------------------------------------------------------------------- what is drawn


@needs_zbar
@pytest.mark.parametrize("seed", range(80))
def test_accepted_codes_are_read_and_refusals_say_what_fits(seed):
    check(random_request(seed))


def test_the_default_size_always_fits():
    for level in LEVELS:
        for length in (1, 20, 60, 150, 400, 900):
            wanted = replace(request(logo=letter()), data="x" * length)
            wanted = replace(wanted, error_correction=level)
            assert 0.05 <= prove(wanted).style.logo_size <= logos.DEFAULT_SIZE + 0.05


def test_a_logo_raises_the_version_and_never_lowers_the_level():
    plain = encode(DATA, "M")
    proof = prove(request(logo=letter(), logo_size=0.24))
    assert proof.symbol.version > plain.version
    assert LEVELS.index(proof.symbol.level) >= LEVELS.index("M")
    assert proof.style.logo_size == 0.24


@pytest.mark.parametrize("level", LEVELS)
def test_without_boost_the_version_makes_room_for_the_logo(level):
    wanted = requests.request(DATA, level, Style(logo=letter()), boost=False)
    proof = prove(wanted)
    assert proof.symbol.level == level
    assert proof.symbol.version >= encode(DATA, level).version


@pytest.mark.parametrize("form", BLENDED_FORMATS)
@pytest.mark.parametrize("name", sorted(LOGOS))
def test_the_logo_is_centred_with_half_a_module_of_light_around_it(form, name):
    size = 8 if form == "svg" else 10  # pixels a module, in the picture
    style = {"format": form, "logo": LOGOS[name], "light": "#fff8e7"}
    proof = prove(request(**style))
    if form == "svg":
        raster = rasterise(proof.image.body, 8)
    else:
        raster = Raster.open(BytesIO(proof.image.body)).convert("RGB")
    cleared = logos.clearing(proof.symbol.size, proof.style.logo_size) * size
    start = (raster.width - cleared) // 2
    for step in range(cleared):  # along the edges of the cleared square
        for x, y in ((start + step, start), (start, start + step)):
            assert raster.getpixel((x, y)) == (0xFF, 0xF8, 0xE7)
    middle = raster.crop((start, start, start + cleared, start + cleared))
    if name in {"letter", "disc", "ring", "black", "photo"}:
        assert len(middle.getcolors(100_000)) > 1, "the logo is visible"


@pytest.mark.parametrize("form", BLENDED_FORMATS)
def test_equal_input_produces_equal_bytes(form):
    wanted = request(format=form, logo=letter())
    assert prove(wanted).image == prove(wanted).image


@needs_zbar
@pytest.mark.parametrize("form", BLENDED_FORMATS)
def test_a_logo_that_is_a_qr_code_never_hides_the_real_one(form):
    """Either only the code itself is read, or the picture is refused."""
    for size in (None, 0.1, 0.2, 0.3):
        try:
            proof = prove(request(format=form, logo=qr_code(), logo_size=size))
        except Unscannable:
            continue
        assert read(proof.image.body).payload == DATA.encode()
        assert zbar_reads(proof.image.body) == DATA.encode()


# ------------------------------------------------------------------- what is refused


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("why", sorted(hostile()))
def test_a_hostile_file_is_refused_with_a_short_reason(why):
    body, kind = hostile()[why]
    with pytest.raises(BadRequest) as error:
        logos.decode(data_url(body, kind))
    assert error.value.fields["field"] == "logo"
    assert error.value.fields["allowed"]
    assert len(str(error.value.fields)) < 300


@pytest.mark.parametrize("form", BLENDED_FORMATS)
@pytest.mark.parametrize("name", sorted(unusual()))
def test_an_unusual_file_is_drawn_like_any_other(name, form):
    body, kind = unusual()[name]
    proof = prove(request(format=form, logo=logos.decode(data_url(body, kind))))
    assert read(proof.image.body).payload == DATA.encode()


@pytest.mark.parametrize(
    "url",
    [
        "",
        "x",
        "https://example.com/logo.png",
        "file:///etc/passwd",
        "data:image/svg+xml;base64,PHN2Zy8+",
        "data:image/gif;base64,R0lGODlhAQABAAAAACw=",
        "data:image/png,rawbytes",
        "data:image/png;base64,",
        "data:image/png;base64,====",
        "data:image/png;base64,iVBO*w0K",
        "data:image/png;base64,iVBORw0KG",
        "DATA:image/png;base64,iVBORw0K",
        " data:image/png;base64,iVBORw0K",
    ],
)
def test_anything_but_a_data_url_of_a_png_or_jpeg_is_refused(url):
    with pytest.raises(BadRequest) as error:
        logos.decode(url)
    assert error.value.fields["field"] == "logo"


def picture(body, kind="png"):
    """Return the picture that is left of a logo's file."""
    with Raster.open(BytesIO(logos.decode(data_url(body, kind)))) as kept:
        return kept.convert("RGB")


def test_base64_may_be_wrapped_and_end_without_padding():
    head, _, text = data_url(letter()).partition(",")
    wrapped = "\r\n".join(text[i : i + 76] for i in range(0, len(text), 76))
    for each in (wrapped, text.rstrip("="), f"{wrapped}\n"):
        assert logos.decode(f"{head},{each}") == logos.decode(f"{head},{text}")


def test_a_long_text_that_is_no_base64_is_refused_at_once():
    """A pattern that tries every place of the white space would take minutes."""
    for text in (f"A{' ' * 120_000}!", "A" * 120_000 + "!", "A" * 120_000 + "===="):
        with pytest.raises(BadRequest):
            logos.decode(f"data:image/png;base64,{text}")


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damage that it repairs
def test_damage_behind_valid_checksums_is_refused_or_repaired():
    """A file with an orientation and a profile, whose damage reaches the decoders."""
    exif = Raster.Exif()
    exif[0x0112] = 6
    tagged = Raster.new("RGB", (16, 8), "red")
    options = {"exif": exif, "icc_profile": steep_profile()}
    outcomes = Counter()
    for seed in range(4000):
        rng = random.Random(seed)
        kind = rng.choice(["png", "jpeg"])
        body = bytearray(file(tagged, kind.upper(), **options))
        for _ in range(rng.choice([1, 2, 4])):
            body[rng.randrange(20, len(body))] = rng.choice(
                [0, 255, rng.randrange(256)]
            )
        try:
            logos.decode(data_url(checked(bytes(body), kind), kind))
        except BadRequest:
            outcomes["refused"] += 1
        else:
            outcomes["repaired"] += 1
    assert min(outcomes.values()) > 300


def test_sixteen_bits_of_grey_are_not_clipped():
    found = picture(file(Raster.new("I;16", (8, 8), 30_000)))
    assert found.getpixel((4, 4)) == (117, 117, 117)


@pytest.mark.parametrize("kind", ["png", "jpeg"])
def test_a_picture_is_turned_as_its_metadata_says(kind):
    flag = Raster.new("RGB", (32, 16), "white")
    flag.paste("black", (0, 0, 16, 16))
    exif = Raster.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise
    found = picture(file(flag, kind.upper(), exif=exif), kind)
    assert found.size == (16, 32)
    assert found.getpixel((8, 4))[0] < 50
    assert found.getpixel((8, 28))[0] > 200


def test_colours_of_an_embedded_profile_become_srgb():
    """In this profile, full red is a dark red of sRGB: its curve is that of gamma 4."""
    body = file(Raster.new("RGB", (8, 8), (128, 0, 0)), icc_profile=steep_profile())
    red, green, blue = picture(body).getpixel((4, 4))
    assert red < 90
    assert max(green, blue) < 20
    damaged = file(Raster.new("RGB", (8, 8), (128, 0, 0)), icc_profile=b"x" * 200)
    assert picture(damaged).getpixel((4, 4)) == (128, 0, 0)


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_bomb_is_called_too_large():
    for width in (10_000, 65_535):
        with pytest.raises(BadRequest) as error:
            logos.decode(data_url(png(width, width, (b"IDAT", b""))))
        assert error.value.fields["allowed"] == "at most 1000000 pixels"


def test_the_largest_size_of_a_request_is_the_largest_that_exists():
    largest = max(
        logos.largest_clearing(version, level) / (17 + 4 * version)
        for version in range(1, 41)
        for level in LEVELS
    )
    assert int(1000 * largest) / 1000 == logos.MOST_SIZE


def test_extra_pictures_in_a_jpeg_from_a_camera_are_dropped():
    file = BytesIO()
    pictures = [Raster.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    pictures[0].save(file, "MPO", save_all=True, append_images=pictures[1:])
    with Raster.open(BytesIO(logos.decode(data_url(file.getvalue(), "jpeg")))) as kept:
        assert (kept.format, getattr(kept, "n_frames", 1)) == ("JPEG", 1)


def test_a_file_of_exactly_64_kib_is_accepted():
    body = letter()
    body += bytes(logos.MAX_BYTES - len(body))  # data after IEND is ignored
    assert len(logos.decode(data_url(body))) < len(body), "and is not kept"
    with pytest.raises(BadRequest, match="65536"):
        logos.decode(data_url(body + b"\0"))


@pytest.mark.filterwarnings("ignore")  # Pillow warns of damage that it repairs
def test_a_damaged_file_is_refused_or_repaired_without_other_errors():
    for seed in range(3000):
        rng = random.Random(seed)
        kind = rng.choice(["png", "jpeg"])
        body = bytearray(LOGOS["photo" if kind == "jpeg" else "letter"])
        for _ in range(rng.choice([1, 2, 5])):
            body[rng.randrange(len(body))] = rng.randrange(256)
        try:
            file = logos.decode(data_url(bytes(body), kind))
        except BadRequest:
            continue
        logos.fitted(file, 20)
