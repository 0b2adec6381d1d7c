from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta

import pytest

from services.booking.service import SERVICE as BOOKING
from services.chassis.ids import new_id
from services.identity.service import SERVICE as IDENTITY
from services.notify import sending
from services.notify.providers.choice import providers_of
from services.notify.service import SERVICE as NOTIFY
from tests.integration.notify.channels import Sandboxes, sandboxes
from tests.integration.notify.desk import ZONE, Desk
from tests.integration.notify.house import KEY, Post, sandbox_process
from tests.integration.notify.phones import Phones
from tests.integration.notify.studio import Studio
from tests.integration.notify.till import Till, open_till
from tests.integration.payments import house as shops
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
        # What other tests have left to do would be asked of services that are not there.
        await notify.sql("TRUNCATE deliveries, jobs")
        made = Post(notify, identity, sandbox)
        # A gate that an earlier test has closed.
        providers_of.cache_clear()
        await made.misbehave()
        yield made


@pytest.fixture
async def desk(post: Post) -> AsyncIterator[Desk]:
    async with post.notify.mesh.running(BOOKING) as booking:
        today = booking.mesh.clock.now().astimezone(ZONE)
        start = (today + timedelta(days=3)).replace(hour=10, minute=0, second=0, microsecond=0)
        made = Desk(booking, post, start, new_id())
        await made.open()
        yield made


@pytest.fixture
def phones(monkeypatch: pytest.MonkeyPatch) -> Phones:
    """Text messages are set up, and go there."""
    made = Phones()
    monkeypatch.setattr(sending, "providers_of", lambda work: replace(providers_of(work), sms=made))
    return made


@pytest.fixture(scope="session")
def all_sandboxes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandboxes]:
    """The sandboxes of all providers."""
    with sandboxes(tmp_path_factory.mktemp("sandboxes")) as running:
        yield running


@pytest.fixture
async def twins(all_sandboxes: Sandboxes) -> AsyncIterator[Sandboxes]:
    """The sandboxes of all providers, in good weather."""
    await all_sandboxes.weather()
    async with all_sandboxes.opened:
        yield all_sandboxes


@pytest.fixture
async def studio(mesh: Mesh) -> AsyncIterator[Studio]:
    """A studio with one client, who has an account."""
    async with mesh.running(BOOKING) as booking, mesh.running(NOTIFY) as notify:
        made = Studio(booking, notify)
        await made.open()
        yield made


@pytest.fixture(scope="session")
def stripe_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The payment provider's address."""
    with shops.sandbox_process(tmp_path_factory.mktemp("stripe")) as url:
        yield url


@pytest.fixture
async def till(post: Post, stripe_sandbox: str) -> AsyncIterator[Till]:
    """A studio that is paid and writes to its clients."""
    async with open_till(post, stripe_sandbox) as made:
        yield made
