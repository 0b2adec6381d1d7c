"""What a test needs and this machine may lack."""

import os
from typing import NoReturn

import pytest


def missing(what: str) -> NoReturn:
    """Skips, except in CI, where a skipped test would be a green lie."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
