"""Helpers that the tests of several folders share; this package has no tests."""
