"""The QR code service: a code's symbol, its image, its life, and where it is kept."""
