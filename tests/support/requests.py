"""Requests as the parser would return them."""

from qr_service.edge.request import GenerateRequest


def request(data, level, style, *, boost=True, eci="auto"):
    """Return a request for an image; it lives for a day, and has no digest."""
    return GenerateRequest(
        data=data,
        expiration_hours=24,
        error_correction=level,
        boost_error_correction=boost,
        eci=eci,
        style=style,
        digest=b"",
    )
