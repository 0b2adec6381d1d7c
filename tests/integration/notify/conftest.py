from collections.abc import AsyncIterator, Iterator

import pytest

from services.booking.service import SERVICE as BOOKING
from services.identity.service import SERVICE as IDENTITY
from services.notify.service import SERVICE as NOTIFY
from tests.integration.notify.house import KEY, Post, sandbox_process
from tests.integration.notify.studio import Studio
from tests.support.services import Mesh


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The mail sandbox's address."""
    with sandbox_process(tmp_path_factory.mktemp("mail")) as url:
        yield url


@pytest.fixture
async def post(mesh: Mesh, sandbox: str) -> AsyncIterator[Post]:
    """notify and identity over real gRPC, and the sandbox in good weather."""
    environment = {"RESEND_API_KEY": KEY, "RESEND_API_URL": sandbox}
    async with mesh.running(IDENTITY) as identity, mesh.running(NOTIFY, environment) as notify:
        made = Post(notify, identity, sandbox)
        await made.misbehave()
        yield made


@pytest.fixture
async def studio(mesh: Mesh) -> AsyncIterator[Studio]:
    """A studio with one client, who has an account."""
    async with mesh.running(BOOKING) as booking, mesh.running(NOTIFY) as notify:
        made = Studio(booking, notify)
        await made.open()
        yield made
