"""From text to symbol to image, and back to text.

Pure: no input or output, and nothing of the service is imported but its errors.
"""
