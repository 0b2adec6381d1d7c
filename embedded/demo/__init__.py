"""The demo studios that `make run` loads."""
