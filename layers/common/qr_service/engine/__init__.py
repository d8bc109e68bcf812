"""From text to symbol to image, and back to text.

Pure: no input or output, and no imports from the service except its errors.
"""
