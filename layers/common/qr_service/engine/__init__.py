"""From text to symbol to image, and back to text.

Pure: it does no input or output, and imports only `errors` from the service.
"""
