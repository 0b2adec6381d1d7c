from pathlib import Path

import pytest

from gateway.transcoding.bindings import Router
from tests.support.protos import compile_proto


@pytest.fixture(scope="session")
def router() -> Router:
    """Routes of a contract beside ours."""
    path = Path(__file__).parents[2] / "support" / "library.proto"
    return Router([compile_proto(path).services_by_name["Library"]])
