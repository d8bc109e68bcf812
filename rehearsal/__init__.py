"""A deployment of the real template without an AWS account: `make rehearse`."""
