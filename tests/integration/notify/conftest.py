from collections.abc import AsyncIterator, Iterator

import pytest

from services.identity.service import SERVICE as IDENTITY
from services.notify.providers.choice import providers_of
from services.notify.service import SERVICE as NOTIFY
from tests.integration.notify.channels import Sandboxes, sandboxes
from tests.integration.notify.house import KEY, Post, sandbox_process
from tests.support.services import Mesh


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The mail sandbox's address."""
    with sandbox_process(tmp_path_factory.mktemp("mail")) as url:
        yield url


@pytest.fixture
async def post(mesh: Mesh, sandbox: str) -> AsyncIterator[Post]:
    """notify and identity over real gRPC, and the sandbox in good weather."""
    providers_of.cache_clear()  # A gate that an earlier test has closed is not for this one.
    environment = {"RESEND_API_KEY": KEY, "RESEND_API_URL": sandbox}
    async with mesh.running(IDENTITY) as identity, mesh.running(NOTIFY, environment) as notify:
        made = Post(notify, identity, sandbox)
        await made.misbehave()
        yield made


@pytest.fixture(scope="session")
def all_sandboxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandboxes]:
    """The sandboxes of all providers."""
    with sandboxes(tmp_path_factory.mktemp("sandboxes")) as running:
        yield running


@pytest.fixture
async def twins(all_sandboxes: Sandboxes) -> Sandboxes:
    """The sandboxes of all providers, in good weather."""
    await all_sandboxes.weather()
    return all_sandboxes
