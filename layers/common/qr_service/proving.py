"""From a request to an image that is proven to scan, without storing anything."""

import base64
import secrets
from dataclasses import dataclass, replace
from typing import Any

from qr_service.codes import SLUG_ALPHABET, SLUG_LENGTH
from qr_service.config import Settings
from qr_service.edge.request import GenerateRequest
from qr_service.engine.images import Image, render
from qr_service.engine.logo import place
from qr_service.engine.readback import check_contrast, verify
from qr_service.engine.style import Style
from qr_service.engine.symbol import Symbol, encode
from qr_service.errors import DynamicUnavailable, Unscannable
from qr_service.telemetry import metrics


@dataclass(frozen=True, slots=True)
class Proof:
    """An image that scans; `margin` is the share of error correction left unused."""

    symbol: Symbol
    style: Style
    image: Image
    margin: float

    def as_dict(self) -> dict[str, Any]:
        """Return the properties of the image that an answer lists."""
        properties = {
            "version": self.symbol.version,
            "error_correction": self.symbol.level,
            "width": self.image.width,
            "format": self.style.format,
            "margin": round(self.margin, 2),
        }
        if self.image.module_mm is not None and self.image.width_mm is not None:
            properties["module_mm"] = round(self.image.module_mm, 3)
            properties["width_mm"] = round(self.image.width_mm, 2)
        if self.style.logo_size is not None:
            properties["logo_size"] = round(self.style.logo_size, 3)
        return properties


def random_slug() -> str:
    """Return a slug: 40 random bits."""
    return "".join(secrets.choice(SLUG_ALPHABET) for _ in range(SLUG_LENGTH))


def short_url(settings: Settings, slug: str) -> str:
    """Return what the image of a dynamic code holds; raises DynamicUnavailable."""
    if not settings.public_url:
        raise DynamicUnavailable
    return f"{settings.public_url}/s/{slug}"


def prove(request: GenerateRequest, printed: str | None = None) -> Proof:
    """Create the image of a request and check that it scans, without storing it.

    It holds the data, or instead of it what is to be `printed`.

    Raises DataTooLong, Unscannable and BadField (too wide or too small).
    """
    text = printed or request.data
    style = request.style
    try:
        check_contrast(style)
        if style.logo:
            symbol, size = place(
                text,
                request.error_correction,
                style.logo_size,
                boost=request.boost_error_correction,
                eci=request.eci,
            )
            style = replace(style, logo_size=size)
        else:
            symbol = encode(
                text,
                request.error_correction,
                boost=request.boost_error_correction,
                eci=request.eci,
            )
        _check_version(symbol, request)
        image = render(symbol, style)
        blame = "logo" if style.logo else style.sized_by
        margin = verify(image, text, blame, announced=symbol.announced)
    except Unscannable:
        metrics.add_metric("Unscannable", unit="Count", value=1)
        raise
    return Proof(symbol, style, image, margin)


def _check_version(symbol: Symbol, request: GenerateRequest) -> None:
    """Raise Unscannable if room for a logo took more than a standard allows."""
    if symbol.version > request.most_version:
        raise Unscannable(
            f"With this logo the version is {symbol.version}; the standard of this "
            f"content allows {request.most_version}.",
            field="logo",
            allowed="a smaller logo, or none",
        )


def warm_up() -> None:
    """Create and read back one image, and forget it.

    The first one of a process takes 10 ms more than the others: for tables, and for the
    plugins of Pillow.
    """
    text = "https://example.com/warm"
    verify(render(encode(text)), text)


def preview(
    request: GenerateRequest, settings: Settings, *, with_image: bool = False
) -> dict[str, Any]:
    """Return what `generate` would report about the image, and the spare bits.

    The short URL of a dynamic code has another slug then, of the same length.
    """
    printed = short_url(settings, random_slug()) if request.dynamic else None
    proof = prove(request, printed)
    body = {**proof.as_dict(), "scans": True, "spare_bits": proof.symbol.spare_bits}
    if with_image:
        body["image"] = data_url(proof.image.content_type, proof.image.body)
    return body


def data_url(content_type: str, body: bytes) -> str:
    """Return a file as an address that contains it (RFC 2397)."""
    return f"data:{content_type};base64,{base64.b64encode(body).decode()}"
