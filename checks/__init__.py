"""Checks of artefacts in CI: the build, the template, the deployed service."""
