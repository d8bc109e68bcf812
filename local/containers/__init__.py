"""The functions in containers: `make sam-local`. Needs Linux and a container engine."""
