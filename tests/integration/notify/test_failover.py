"""Two mail providers: the second is asked when the first certainly has nothing, and only then."""

from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from services.identity.service import SERVICE as IDENTITY
from services.notify.providers.choice import providers_of
from services.notify.service import SERVICE as NOTIFY
from tests.integration.notify.channels import Sandboxes
from tests.integration.notify.house import Post
from tests.support.services import Mesh


@pytest.fixture
async def post(mesh: Mesh, twins: Sandboxes) -> AsyncIterator[Post]:
    """Resend first, SendGrid when it fails."""
    providers_of.cache_clear()
    environment = {**twins.keys.of_notify(twins.url), "POWERHOUSE_MAIL_FAILOVER": "sendgrid"}
    async with mesh.running(IDENTITY) as identity, mesh.running(NOTIFY, environment) as notify:
        await notify.sql("TRUNCATE deliveries, jobs")
        yield Post(notify, identity, twins.url)
    providers_of.cache_clear()


async def fate(post: Post, twins: Sandboxes, invitation: UUID, email: str) -> tuple[str, str, list[str]]:
    """State, provider, and who has taken it."""
    for _ in range(3):
        await post.run_once()
        # As if the pauses were over, of the delivery and of its provider.
        providers_of.cache_clear()
        await post.notify.sql("UPDATE deliveries SET retry_at = NULL")
    delivery = await post.delivery(invitation)
    return delivery["state"], delivery["provider"], [mail["provider"] for mail in await twins.messages(email)]


async def test_who_says_no_for_now_is_replaced(post: Post, twins: Sandboxes) -> None:
    invitation, email = await post.invite()
    await post.carry(post.identity, invitation)
    await twins.weather(**{"resend:reject_429": {"count": 1, "seconds": 1}})
    assert await fate(post, twins, invitation, email) == ("accepted", "sendgrid", ["sendgrid"])


async def test_who_may_have_it_is_not_replaced_even_when_it_then_says_no(post: Post, twins: Sandboxes) -> None:
    invitation, email = await post.invite()
    await post.carry(post.identity, invitation)
    # The first call is taken without an answer; the second is refused for now, which says nothing about the first.
    await twins.weather(**{"resend:accept_then_500": 1, "resend:reject_429": {"count": 1, "after": 1, "seconds": 1}})
    assert await fate(post, twins, invitation, email) == ("accepted", "resend", ["resend"])


async def test_nobody_is_asked_again_when_the_second_may_have_it(post: Post, twins: Sandboxes) -> None:
    invitation, email = await post.invite()
    await post.carry(post.identity, invitation)
    await twins.weather(**{"resend:reject_429": {"count": 1, "seconds": 1}, "sendgrid:accept_then_500": 1})
    assert await fate(post, twins, invitation, email) == ("unknown", "sendgrid", ["sendgrid"])
