"""Texts that clients send, by kind; those in EXACT fill a symbol completely."""

CORPUS = {
    "url": "https://example.com/t/8f3a?seat=12&row=B",
    "short url": "HTTPS://EXAMPLE.COM/A1",
    "wifi": "WIFI:T:WPA;S:Café;P:pa\\;ss\\:word;;",
    "vcard": "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Núñez;Ana\r\nTEL:+34600000000\r\n"
    "EMAIL:ana@example.com\r\nORG:ACME\r\nEND:VCARD",
    "sepa": "BCD\n002\n1\nSCT\nBFSWDE33BER\nRed Cross\nDE89370400440532013000\n"
    "EUR12.34\n\n\nDonation\n",
    "otpauth": "otpauth://totp/ACME:ana@example.com?secret=JBSWY3DPEHPK3PXP&digits=6",
    "geo": "geo:52.5200,13.4050?q=Brandenburger%20Tor",
    "japanese": "東京都千代田区1-1",
    "arabic": "مرحبا بالعالم",
    "emoji": "👩‍🚀🇯🇵 ok",
    "digits": "0123456789012345678901234567890",
    "binary-like": "\x01\x1b\x7f\x85\u2028\ufeff",
    "one character": "x",
    "mixed": "Order 20240122153000000001 FROM THE WAREHOUSE IN ZURICH, thanks",
}
# Text, level and version: the text fills the version in the named mode (table 7).
EXACT = {
    "1-M, bytes": ("a" * 14, "M", 1),
    "1-L, digits": ("1" * 41, "L", 1),
    "7-M, bytes": ("a" * 122, "M", 7),
    "10-Q, capitals": ("A" * 221, "Q", 10),
    "27-H, bytes": ("a" * 625, "H", 27),
    "40-L, bytes": ("a" * 2953, "L", 40),
    "40-H, digits": ("1" * 3057, "H", 40),
}
