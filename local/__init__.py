"""The whole service on one Linux machine, without Docker, AWS or root."""
