"""The client of the QR code service.

    from qr_client import Client

    client = Client("https://qr.example.com", api_key)
    code = client.generate(data="https://example.com", expiration_hours=48)
    image = client.image(code["qr_id"])

The command `qr-codes` makes a code of each row of a CSV file.
"""

from qr_client.api import Client, Fields, Problem, Unreachable

__all__ = ["Client", "Fields", "Problem", "Unreachable"]
