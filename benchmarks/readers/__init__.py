"""Other readers of QR codes, over our images."""
