from collections.abc import AsyncIterator

import pytest

from embedded.certificates import Certificates
from tests.integration.gateway.house import House, open_house


@pytest.fixture
async def house(certificates: Certificates) -> AsyncIterator[House]:
    """A gateway with services behind it that do as the test says; each test gets its own."""
    async with open_house(certificates) as opened:
        yield opened
