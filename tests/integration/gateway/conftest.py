from collections.abc import AsyncIterator

import pytest

from embedded.certificates import Certificates
from tests.integration.gateway.archive import Open, open_archive
from tests.integration.gateway.house import House, open_house


@pytest.fixture
async def house(certificates: Certificates) -> AsyncIterator[House]:
    """A gateway with services behind it that do as the test says; each test gets its own."""
    async with open_house(certificates) as opened:
        yield opened


@pytest.fixture
async def archive(certificates: Certificates) -> AsyncIterator[Open]:
    """A gateway on a socket, before a service of streams and blobs."""
    async with open_archive(certificates) as opened:
        yield opened
