from collections.abc import AsyncIterator

import pytest

from services.identity.service import SERVICE
from tests.integration.identity.house import Browser, Studio, new_studio
from tests.support.services import Mesh, Running


@pytest.fixture
async def identity(mesh: Mesh) -> AsyncIterator[Running]:
    """identity, over real gRPC on a migrated database."""
    async with mesh.running(SERVICE) as running:
        yield running


@pytest.fixture
def browser(identity: Running) -> Browser:
    return Browser(identity)


@pytest.fixture
async def studio(identity: Running) -> Studio:
    """A studio with one owner."""
    return await new_studio(identity)
