"""The studio: the page at the service's root, in which people make codes."""
