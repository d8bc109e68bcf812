"""The QR code service: symbols, images, lifetimes and storage of codes."""
