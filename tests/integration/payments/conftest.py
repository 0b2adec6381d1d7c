"""payments and booking in this process, the Stripe sandbox beside it, and a studio that sells."""

from collections.abc import AsyncIterator, Iterator

import pytest

from embedded.certificates import Certificates
from services.chassis.clock import real_now
from tests.integration.payments.house import Shop, sandbox_process, services
from tests.support.services import Mesh, Running


@pytest.fixture(scope="session")
def stripe_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The sandbox's address."""
    with sandbox_process(tmp_path_factory.mktemp("stripe")) as url:
        yield url


@pytest.fixture(scope="session")
async def served(
    postgres_url: str, certificates: Certificates, stripe_sandbox: str
) -> AsyncIterator[tuple[Running, Running]]:
    """Served once for all tests: each has a studio of its own."""
    async with services(Mesh(postgres_url, certificates), stripe_sandbox) as running:
        yield running


@pytest.fixture
async def stranger(served: tuple[Running, Running], stripe_sandbox: str) -> Shop:
    """A new studio that is no merchant yet."""
    payments, booking = served
    payments.mesh.clock.instant = real_now().replace(microsecond=0)
    # What other tests left to be done later comes due when this one moves the clock.
    await payments.sql("DELETE FROM jobs")
    return Shop(payments, booking, stripe_sandbox)


@pytest.fixture
async def shop(stranger: Shop) -> Shop:
    """A new studio that can be paid, in euros."""
    await stranger.open()
    return stranger
