"""What CI asks of artefacts: the build, the template, the deployed service."""
