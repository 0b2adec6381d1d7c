"""Servers that tests share: started when first asked for, once per run (each xdist worker is a run of its own)."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from embedded.broker import Broker
from embedded.postgres import Postgres
from embedded.processes import Unusable, temporary_var
from embedded.rabbitmq import RabbitMQ
from tests.support.missing import missing

# Names a server that outlives this run of tests.
SHARED_POSTGRES = "POWERHOUSE_TEST_DATABASE_URL"
# Tests crash processes, never this server.
CARELESS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@pytest.fixture(scope="session")
def server_var() -> Iterator[Path]:
    """A directory that unprivileged servers may enter."""
    with temporary_var() as var:
        yield var


@pytest.fixture(scope="session")
def postgres_url(server_var: Path) -> Iterator[str]:
    """PostgreSQL, as its administrator."""
    if shared := os.environ.get(SHARED_POSTGRES):
        yield shared
        return
    with Postgres(server_var, settings=CARELESS).running() as server:
        yield server.url


@pytest.fixture(scope="session")
def broker_url(server_var: Path) -> Iterator[str]:
    """Valkey, the broker of the embedded run."""
    with Broker(server_var).running() as server:
        yield server.url


@pytest.fixture(scope="session")
def rabbitmq_url(server_var: Path) -> Iterator[str]:
    """RabbitMQ, the broker of production; starts in ten seconds. Tests are skipped where it is not installed."""
    try:
        with RabbitMQ(server_var).running() as server:
            yield server.url
    except Unusable as error:
        missing(str(error))


@pytest.fixture(params=["valkey", "rabbitmq"])
def any_broker_url(request: pytest.FixtureRequest) -> str:
    """Each broker in turn, for tests marked `broker`."""
    url: str = request.getfixturevalue("broker_url" if request.param == "valkey" else "rabbitmq_url")
    return url
