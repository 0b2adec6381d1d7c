"""Fixtures for all tests: servers are started once per run and shared."""

from pathlib import Path

import pytest

from embedded.certificates import Certificates
from tests.support.services import Mesh

pytest_plugins = ["tests.support.servers", "tests.support.messaging", "tests.support.browser"]


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A private CA, certificates of all services, and a token key."""
    made = Certificates(Path(tmp_path_factory.mktemp("keys")))
    made.make()
    return made


@pytest.fixture
def mesh(postgres_url: str, certificates: Certificates) -> Mesh:
    """Services in this process; the clock stands still until the test moves it."""
    return Mesh(postgres_url, certificates)
