"""Web push: people subscribe their own browsers, read there what their clients are sent, and nothing after that."""

import json
from base64 import urlsafe_b64encode
from collections.abc import Awaitable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import grpc
import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from powerhouse.booking.v1 import booking_pb2
from powerhouse.booking.v1.events_pb2 import ClientErased
from powerhouse.notify.v1 import preference_service_pb2 as preference_pb
from powerhouse.notify.v1 import push_service_pb2 as pb
from powerhouse.notify.v1.notify_service_pb2 import Delivery
from powerhouse.notify.v1.preference_service_pb2_grpc import PreferenceServiceStub
from powerhouse.notify.v1.push_service_pb2_grpc import PushServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.notify import push_subscriptions, sending
from services.notify.providers.choice import providers_of
from services.notify.providers.web_push import WebPush
from services.notify.rpc import push_servicer
from tests.integration.notify.channels import gate
from tests.integration.notify.desk import Desk, id_of
from tests.integration.notify.house import envelope_of, new_email
from tests.support.services import reason_of, together

Stubs = together(PushServiceStub, PreferenceServiceStub)
NUMBER = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
PRIVATE_KEY = urlsafe_b64encode(NUMBER.to_bytes(32, "big")).rstrip(b"=").decode()


@dataclass
class Person:
    """Somebody who has booked the class of a desk, and sits at browsers."""

    desk: Desk
    booking: booking_pb2.Booking
    account: UUID

    @property
    def client(self) -> str:
        return self.booking.client

    @property
    def client_id(self) -> UUID:
        return UUID(self.client.rpartition("/")[2])

    async def browser(self) -> pb.PushSubscription:
        """A browser that does not listen to us yet, as its Push API describes it."""
        async with httpx.AsyncClient(timeout=60) as client:
            made = (await client.post(f"{self.desk.post.sandbox}/sandbox/push")).json()
        return pb.PushSubscription(endpoint=made["endpoint"], **made["keys"])

    async def leave(self, browser: pb.PushSubscription) -> None:
        """The browser listens no more."""
        async with httpx.AsyncClient(timeout=60) as client:
            await client.delete(f"{self.desk.post.sandbox}/sandbox/push/{address(browser)}")

    async def subscribe(self, browser: pb.PushSubscription, account: UUID | None = None) -> pb.PushSubscription:
        request = pb.CreatePushSubscriptionRequest(
            parent=self.client, push_subscription=browser, request_id=uuid4().hex
        )
        answer: pb.PushSubscription = await self.stub(account).CreatePushSubscription(request)
        return answer

    async def listed(self, account: UUID | None = None) -> list[pb.PushSubscription]:
        request = pb.ListPushSubscriptionsRequest(parent=self.client)
        return list((await self.stub(account).ListPushSubscriptions(request)).push_subscriptions)

    async def end(self, name: str, account: UUID | None = None) -> pb.PushSubscription:
        request = pb.DeletePushSubscriptionRequest(name=name, request_id=uuid4().hex)
        answer: pb.PushSubscription = await self.stub(account).DeletePushSubscription(request)
        return answer

    def stub(self, account: UUID | None = None) -> Any:
        return self.desk.post.notify.as_account(Stubs, account or self.account)

    async def shown(self, browser: pb.PushSubscription) -> list[tuple[str, str]]:
        """What the browser has shown, the newest first: title and text."""
        return [(each["subject"], each["text"]) for each in await self.desk.post.mails(address(browser))]

    async def pushes(self) -> list[Any]:
        query = "SELECT * FROM deliveries WHERE client_id = $1 AND channel = 'push' ORDER BY kind, id"
        return await self.desk.post.notify.sql(query, self.client_id)

    async def news(self) -> None:
        """The class takes place with somebody else, and everybody is told."""
        self.desk.facts |= {"instructor_id": str(new_id()), "instructor_display_name": "Bo Berg"}
        await self.desk.announce(2)
        await self.desk.carry_all()
        await self.desk.post.work_off()


def address(browser: pb.PushSubscription) -> str:
    return browser.endpoint.rpartition("/")[2]


@pytest.fixture
async def person(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Person:
    """Push messages are set up, and go to the sandbox."""
    provider = WebPush(PRIVATE_KEY, "mailto:studio@north.example", {desk.post.sandbox: gate()})
    for module in (sending, push_servicer):
        monkeypatch.setattr(module, "providers_of", lambda work: replace(providers_of(work), push=provider))
    account = new_id()
    return Person(desk, await desk.book(new_email(), account=account), account)


async def refusal(call: Awaitable[object]) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await call
    return refused.value.code(), reason_of(refused.value)


async def test_a_browser_shows_what_a_client_is_sent(person: Person) -> None:
    key = (await person.stub().GetPushKey(pb.GetPushKeyRequest())).public_key
    assert len(key) == 87
    await person.desk.carry_all()
    assert await person.pushes() == []
    browser, other = await person.browser(), await person.browser()
    mine = await person.subscribe(browser)
    assert (mine.endpoint, mine.p256dh, mine.auth) == (browser.endpoint, "", "")
    assert await person.subscribe(browser) == mine
    await person.subscribe(other)
    assert [each.endpoint for each in await person.listed()] == [other.endpoint, browser.endpoint]
    [reminder] = await person.pushes()
    assert (reminder["kind"], reminder["offset_minutes"], reminder["state"]) == ("reminder", 120, "pending")
    await person.news()
    [told, _] = await person.pushes()
    assert (told["kind"], told["state"], told["provider"]) == ("class_changed", "accepted", "web_push")
    assert [step["what"] for step in json.loads(told["story"])] == ["planned", "sending", "accepted"]
    for listener in (browser, other):
        [(title, text)] = await person.shown(listener)
        assert title == "Class changed · Kiez Pilates"
        assert text.startswith("Reformer <Flow> is now ")
        assert "with Bo Berg (was Jana Vogt), Blue Room." in text
    consents = await person.stub().ListConsents(preference_pb.ListConsentsRequest(parent=person.client))
    assert [(each.channel, each.granted) for each in consents.consents] == [(Delivery.PUSH, True)] * 2


async def test_nobody_but_its_own_account_sees_or_ends_a_subscription(person: Person) -> None:
    browser, stranger = await person.browser(), new_id()
    mine = await person.subscribe(browser)
    notify = person.desk.post.notify
    owner = notify.as_account(Stubs, roles={person.desk.post.studio: [Role.ROLE_OWNER]})
    denied = (grpc.StatusCode.PERMISSION_DENIED, "PERMISSION_DENIED")
    assert await refusal(person.subscribe(await person.browser(), stranger)) == denied
    assert await refusal(person.listed(stranger)) == denied
    assert await refusal(person.end(mine.name, stranger)) == denied
    assert await refusal(owner.ListPushSubscriptions(pb.ListPushSubscriptionsRequest(parent=person.client))) == denied
    # Nor whoever acted for the client before.
    await person.desk.booking.sql("UPDATE clients SET account_id = $2 WHERE id = $1", person.client_id, stranger)
    assert await person.listed(stranger) == []
    assert (await refusal(person.end(mine.name, stranger)))[0] == grpc.StatusCode.NOT_FOUND
    await person.desk.carry_all()
    await person.news()
    assert await person.shown(browser) == []
    [told, _] = await person.pushes()
    assert (told["state"], told["reason"]) == ("skipped", "no browser of the client listens")


async def test_what_is_no_browser_is_refused(person: Person) -> None:
    browser = await person.browser()
    invalid = grpc.StatusCode.INVALID_ARGUMENT
    for endpoint in ("https://fcm.googleapis.com.evil.example/x", "http://169.254.169.254/", "https://[::1/x", "x"):
        strange = pb.PushSubscription(endpoint=endpoint, p256dh=browser.p256dh, auth=browser.auth)
        assert await refusal(person.subscribe(strange)) == (invalid, "UNKNOWN_PUSH_SERVICE")
    key, secret = browser.p256dh, browser.auth
    for p256dh, auth in (("A" * 87, secret), ("é", secret), (key, "AAAA"), (key, "A")):
        strange = pb.PushSubscription(endpoint=browser.endpoint, p256dh=p256dh, auth=auth)
        assert await refusal(person.subscribe(strange)) == (invalid, "INVALID_PUSH_KEYS")
    assert await person.listed() == []


async def test_a_browser_that_is_gone_is_forgotten_with_what_was_planned_for_it(person: Person) -> None:
    await person.desk.carry_all()
    gone, still = await person.browser(), await person.browser()
    await person.subscribe(gone)
    await person.subscribe(still)
    await person.leave(gone)
    await person.news()
    assert [each["state"] for each in await person.pushes()] == ["accepted", "pending"]
    assert [each.endpoint for each in await person.listed()] == [still.endpoint]
    # And the last one.
    await person.leave(still)
    person.desk.facts |= {"instructor_id": str(new_id()), "instructor_display_name": "Cy Claes"}
    await person.desk.announce(3)
    await person.desk.carry_all()
    await person.desk.post.work_off()
    [_, told, reminder] = await person.pushes()
    assert (told["state"], told["attempts"], told["reason"]) == ("skipped", 1, "the browser listens no more")
    assert reminder["state"] == "skipped"
    assert await person.listed() == []
    assert await person.desk.post.notify.sql("SELECT 1 FROM deliveries WHERE state = 'failed'") == []


async def test_a_push_service_that_is_away_is_asked_again(person: Person) -> None:
    await person.desk.carry_all()
    browser = await person.browser()
    await person.subscribe(browser)
    await person.desk.post.misbehave(**{"push:accept_then_500": 1})
    await person.news()
    [told, _] = await person.pushes()
    assert (told["state"], told["attempts"]) == ("accepted", 2)
    # The second replaces the first in the browser, which the sandbox shows by their topic.
    messages = await person.desk.post.mails(address(browser))
    assert len({each["headers"]["Topic"] for each in messages}) == 1


async def test_what_a_client_does_not_want_is_not_shown(person: Person) -> None:
    await person.desk.carry_all()
    browser = await person.browser()
    await person.subscribe(browser)
    wanted = preference_pb.Preferences(
        name=f"{person.client}/preferences", opt_outs=[{"kind": Delivery.CLASS_CHANGED, "channel": Delivery.PUSH}]
    )
    request = preference_pb.UpdatePreferencesRequest(preferences=wanted, request_id=uuid4().hex)
    await person.stub().UpdatePreferences(request)
    await person.news()
    [told, _] = await person.pushes()
    assert (told["state"], told["reason"]) == ("skipped", "Push skipped - client preference")
    assert await person.shown(browser) == []


async def test_a_subscription_ends_by_hand_by_another_person_and_with_its_client(person: Person) -> None:
    await person.desk.carry_all()
    browser, mine = await person.browser(), []
    for each in (browser, *[await person.browser() for _ in range(push_subscriptions.MOST)]):
        mine.append(await person.subscribe(each))
    # Of more than ten the oldest has ended.
    assert [each.name for each in reversed(await person.listed())] == [each.name for each in mine[1:]]
    await person.end(mine[1].name)
    assert (await refusal(person.end(mine[1].name)))[0] == grpc.StatusCode.NOT_FOUND
    # Somebody else sits at that browser now.
    account = new_id()
    other = Person(person.desk, await person.desk.book(new_email(), account=account), account)
    taken = pb.PushSubscription(endpoint=mine[2].endpoint, p256dh=browser.p256dh, auth=browser.auth)
    await other.subscribe(taken)
    assert mine[2].name not in [each.name for each in await person.listed()]
    erased = envelope_of(ClientErased(client_id=str(person.client_id)), person.desk.post.studio)
    await person.desk.post.apply([erased])
    assert await person.listed() == []
    assert len(await other.listed()) == 1


async def test_a_reminder_is_worth_showing_until_the_class_begins(person: Person) -> None:
    await person.desk.carry_all()
    browser = await person.browser()
    await person.subscribe(browser)
    person.desk.booking.mesh.clock.move(person.desk.start - person.desk.booking.mesh.clock.now() - timedelta(hours=2))
    await person.desk.post.work_off()
    [message] = await person.desk.post.mails(address(browser))
    assert message["subject"] == "Your class · Kiez Pilates"
    assert 0 < int(message["headers"]["TTL"]) <= 7200
    assert id_of(person.booking) in {row["booking_id"] for row in await person.pushes()}
