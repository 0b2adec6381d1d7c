"""Webhooks over HTTP: signed right, wrong, again, late, in any order; and what they do to a delivery."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import grpc
import httpx
import pytest
from google.api.httpbody_pb2 import HttpBody
from twilio.request_validator import RequestValidator

from embedded.sandboxes.faults import Faults
from embedded.sandboxes.keys import Keys
from embedded.sandboxes.webhooks import Post, Signatures, Webhooks
from powerhouse.notify.v1.provider_event_service_pb2 import ReceiveProviderEventsRequest
from powerhouse.notify.v1.provider_event_service_pb2_grpc import ProviderEventServiceStub
from services.chassis.clock import real_now
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id
from services.notify import consent, provider_events, senders, suppressions
from services.notify.providers.keys import key_of
from services.notify.providers.sms import Sms
from services.notify.providers.webhooks import Webhook
from services.notify.settings import NotifySettings
from tests.integration.notify.channels import Sandboxes, mail_to, new_number
from tests.integration.notify.webhook_house import Door, open_door
from tests.support.services import Mesh
from tests.support.services import reason_of as grpc_reason_of

STUDIO_NUMBER = "+4930123456"


@pytest.fixture
async def door(mesh: Mesh, twins: Sandboxes) -> AsyncIterator[Door]:
    async with open_door(mesh, twins) as opened:
        yield opened


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What numbers and addresses said by themselves, and which are dead, as it is handed on."""
    told: list[dict[str, Any]] = []

    async def record(tx: UnitOfWork, **what: Any) -> None:
        told.append({"studio": tx.tenant, **what})

    async def put(tx: UnitOfWork, channel: str, address: str, reason: str, **what: Any) -> None:
        told.append({"studio": tx.tenant, "channel": channel, "address": address, "reason": reason})

    monkeypatch.setattr(consent, "record", record)
    monkeypatch.setattr(suppressions, "put", put)
    return told


def reason_of(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["details"][0]["reason"])


def told(door: Door, name: str, key: str, event: str) -> Post:
    """The webhook of a provider that says this of a message it took under the key."""
    mail = {
        "from": "a@north.example",
        "to": ["Ann@Example.test"],
        "subject": "x",
        "create_time": "2026-01-05T10:00:00Z",
    }
    message = {
        **mail,
        "id": f"{name}-{key[-8:]}",
        "provider": name,
        "tags": [{"name": "delivery", "value": key}],
        "callback": f"{door.twilio_url}/deliveries/{key}",
    }
    if name == "twilio":
        message |= {"from": STUDIO_NUMBER, "to": ["+4915112345678"]}
    return webhooks_of(door).post(message, event)


def webhooks_of(door: Door) -> Any:
    return Webhooks(None, Faults(), door.signatures, f"{door.url}/webhooks")  # type: ignore[arg-type]  # only what it signs


PROVIDERS = ("resend", "sendgrid", "twilio")
BECOMES = {
    "sent": ("accepted", ""),
    "delivered": ("delivered", "delivered"),
    "bounced": ("failed", "bounced"),
    "complained": ("delivered", "complained"),
    "failed": ("failed", "failed"),
}
STORIES = [(name, event) for name in PROVIDERS for event in BECOMES if (name, event) != ("twilio", "complained")]


@pytest.mark.parametrize(("name", "event"), STORIES)
async def test_what_a_provider_tells_moves_the_delivery_on(door: Door, name: str, event: str) -> None:
    key = await door.sending("sms" if name == "twilio" else "email")
    answer = await door.post(told(door, name, key, event))
    assert answer.status_code == 200
    assert await door.state(key) == ("sending", "")
    await door.work_off()
    assert await door.state(key) == BECOMES[event]
    delivery = await door.delivery(key)
    assert (delivery["provider"], delivery["provider_message_id"]) == (name, f"{name}-{key[-8:]}")
    [stored] = await door.events()
    assert stored["apply_time"]
    assert bool(delivery["reason"]) == (event in ("bounced", "failed", "complained"))
    assert "example.test" not in delivery["reason"].lower()


@pytest.mark.parametrize("name", ["resend", "sendgrid"])
async def test_the_whole_way_by_the_providers_own_sandbox(door: Door, name: str) -> None:
    key, to = await door.sending(), f"{new_id().hex}@example.test"
    message_id = await door.twins.mail(name, timeout=5).send(mail_to(to), key)
    assert await door.twins.tell(message_id, "delivered") == 200
    await door.work_off()
    assert await door.state(key) == ("delivered", "delivered")


async def test_the_whole_way_by_sms(door: Door) -> None:
    key = await door.sending("sms")
    sid = await door.twins.sms(timeout=5).send(Sms(STUDIO_NUMBER, new_number(), "Monday at ten"), key)
    assert await door.twins.tell(sid, "sent") == 200
    assert await door.twins.tell(sid, "bounced") == 200
    await door.work_off()
    delivery = await door.delivery(key)
    assert (delivery["state"], delivery["outcome"]) == ("failed", "bounced")
    assert (delivery["provider_message_id"], delivery["reason"]) == (sid, "the phone is off or out of reach")


async def test_duplicates_and_disorder_change_nothing(door: Door) -> None:
    for name in PROVIDERS:
        key = await door.sending("sms" if name == "twilio" else "email")
        posts = [told(door, name, key, event) for event in ("delivered", "sent", "delivered")]
        posts[2] = posts[0]
        for post in (*posts, *posts):
            assert (await door.post(post)).status_code == 200
        await door.work_off()
        delivery = await door.delivery(key)
        assert (delivery["state"], delivery["outcome"]) == ("delivered", "delivered")
        assert [step["what"] for step in json.loads(delivery["story"])] in (["delivered"], ["accepted", "delivered"])
        for post in posts:
            await door.post(post)
        await door.work_off()
        assert (await door.delivery(key))["story"] == delivery["story"]
    assert len(await door.events()) == 2 * len(PROVIDERS)


async def test_what_bounced_has_not_become_well_by_an_old_word(door: Door) -> None:
    key = await door.sending()
    for event in ("bounced", "delivered", "sent"):
        await door.post(told(door, "resend", key, event))
        await door.work_off()
    assert await door.state(key) == ("failed", "bounced")


@pytest.mark.parametrize("name", PROVIDERS)
async def test_what_nobody_signed_is_refused_and_not_stored(door: Door, name: str) -> None:
    key = await door.sending()
    post = told(door, name, key, "delivered")
    header = next(header for header in post.headers if header.endswith("signature"))
    strangers = Signatures(
        resend_secret=Keys().resend_webhook,
        sendgrid_private_key=Keys().of_sandbox()["SENDGRID_WEBHOOK_PRIVATE_KEY"],
        twilio_account=door.signatures.twilio_account,
        twilio_token="another token",
    )
    own, door.signatures = door.signatures, strangers
    forged = [
        told(door, name, key, "delivered"),
        replace(post, body=post.body.replace(key[:6].encode(), b"ffffff").replace(b"+4915", b"+4916") + b" "),
        replace(post, headers={**post.headers, header: ""}),
        replace(post, headers={**post.headers, header: "v1,AAAA"}),
        replace(post, headers={**post.headers, header: "üü"}),
        replace(post, headers={key: value for key, value in post.headers.items() if key != header}),
        replace(post, body=b"\xff\xfe"),
        replace(post, body=b""),
    ]
    door.signatures = own
    for one in forged:
        answer = await door.post(one)
        assert (answer.status_code, reason_of(answer)) == (403, "SIGNATURE_INVALID")
    assert await door.events() == []
    assert (await door.post(post)).status_code == 200


async def test_the_address_is_part_of_what_twilio_signs(door: Door) -> None:
    key, other = await door.sending("sms"), await door.sending("sms")
    post = told(door, "twilio", key, "delivered")
    for address in (
        post.url.replace(key, other),
        f"{post.url}?x=1",
        door.twilio_url,
        post.url.replace("/deliveries", "//deliveries"),
    ):
        answer = await door.post(post, address)
        assert (answer.status_code, reason_of(answer)) == (403, "SIGNATURE_INVALID"), address
    # What the request says of its host is nobody's word; the address is ours to know.
    assert (await door.post(post, host="evil.example")).status_code == 200
    with_query = door.signatures.twilio(f"{post.url}?sequence=1&x=%2B", {"MessageSid": "SM1", **_account(door)})
    assert (await door.post(with_query)).status_code == 200
    elsewhere = door.signatures.twilio(f"http://staging.example/webhooks/twilio/{key}", {"MessageSid": "SM1"})
    assert (await door.post(elsewhere, post.url)).status_code == 403


def _account(door: Door) -> dict[str, str]:
    return {"AccountSid": door.signatures.twilio_account, "MessageStatus": "delivered"}


async def test_twilio_may_sign_by_the_newer_algorithm(door: Door) -> None:
    form = {"MessageSid": "SM2", **_account(door)}
    post = door.signatures.twilio(f"{door.twilio_url}/deliveries/{await door.sending('sms')}", form)
    signature = RequestValidator(door.signatures.twilio_token).compute_signature(post.url, form, "HMAC_SHA256")
    settings = {"x-twilio-signature": signature, "x-twilio-webhooks-signature-settings": "key=k,algorithm=HMAC_SHA256"}
    assert (await door.post(post, **settings)).status_code == 200
    settings["x-twilio-webhooks-signature-settings"] = "key=k,algorithm=NONE"
    assert reason_of(await door.post(post, **settings)) == "SIGNATURE_INVALID"


async def test_what_was_signed_long_ago_is_refused(door: Door) -> None:
    key, now = await door.sending(), int(time.time())
    body = told(door, "resend", key, "delivered").body
    for age, status in ((299, 200), (310, 403), (-310, 403)):
        post = door.signatures.resend(f"{door.url}/webhooks/resend", body, timestamp=now - age)
        answer = await door.post(post)
        assert answer.status_code == status
        assert status == 200 or reason_of(answer) == "SIGNATURE_EXPIRED"
    body = told(door, "sendgrid", key, "delivered").body
    for age, status in ((24 * 3600, 200), (26 * 3600, 403)):
        post = door.signatures.sendgrid(f"{door.url}/webhooks/sendgrid", body, timestamp=now - age)
        answer = await door.post(post)
        assert answer.status_code == status
        assert status == 200 or reason_of(answer) == "SIGNATURE_EXPIRED"
    for name in ("svix-timestamp", "x-twilio-email-event-webhook-timestamp"):
        provider = "resend" if name.startswith("svix") else "sendgrid"
        answer = await door.post(told(door, provider, key, "delivered"), **{name: "yesterday"})
        assert reason_of(answer) == "SIGNATURE_INVALID"


async def test_two_secrets_are_known_while_one_replaces_the_other(mesh: Mesh, twins: Sandboxes) -> None:
    old = Keys()
    of_old, of_new = old.of_notify(""), twins.keys.of_notify(twins.url)
    names = ("RESEND_WEBHOOK_SECRETS", "SENDGRID_WEBHOOK_KEYS")
    both = {name: f"{of_old[name]}, {of_new[name]}" for name in names}
    async with open_door(mesh, twins, {**both, "TWILIO_OTHER_AUTH_TOKEN": old.twilio_token}) as door:
        new = door.signatures
        of_sandbox = old.of_sandbox()
        previous = Signatures(
            resend_secret=of_sandbox["RESEND_WEBHOOK_SECRETS"],
            sendgrid_private_key=of_sandbox["SENDGRID_WEBHOOK_PRIVATE_KEY"],
            twilio_account=new.twilio_account,
            twilio_token=old.twilio_token,
        )
        for door.signatures in (new, previous):
            for name in PROVIDERS:
                key = await door.sending()
                assert (await door.post(told(door, name, key, "delivered"))).status_code == 200


async def test_without_its_secret_a_provider_is_not_let_in(mesh: Mesh, twins: Sandboxes) -> None:
    nothing = {"RESEND_WEBHOOK_SECRETS": "", "SENDGRID_WEBHOOK_KEYS": " , "}
    nothing |= {"TWILIO_ACCOUNT_SID": "", "TWILIO_AUTH_TOKEN": ""}
    async with open_door(mesh, twins, nothing) as door:
        for name in PROVIDERS:
            answer = await door.post(told(door, name, await door.sending(), "delivered"))
            assert (answer.status_code, reason_of(answer)) == (400, "WEBHOOK_NOT_SET_UP")
        assert await door.events() == []


@pytest.mark.parametrize(
    "body", [b"<html>502</html>", b"[]", b"{}", b'"x"', b"null", b'[{"event": "delivered"}]', b"[1]", b"{"]
)
async def test_nonsense_that_a_provider_signed_is_refused(door: Door, body: bytes) -> None:
    for provider in ("resend", "sendgrid"):
        answer = await door.post(signed(door, provider, body))
        # Resend's SDK does not call signed what is no JSON.
        assert reason_of(answer) in ("EVENT_MALFORMED", "SIGNATURE_INVALID")
    form = {"AccountSid": "another", "MessageSid": "SM1", "Body": body.decode()}
    assert reason_of(await door.post(door.signatures.twilio(door.twilio_url, form))) == "EVENT_MALFORMED"
    assert await door.events() == []


def signed(door: Door, provider: str, what: object) -> Post:
    """Anything, signed by a provider; all but bytes as JSON."""
    body, url = what if isinstance(what, bytes) else json.dumps(what).encode(), f"{door.url}/webhooks/{provider}"
    return door.signatures.resend(url, body) if provider == "resend" else door.signatures.sendgrid(url, body)


async def test_what_means_nothing_here_is_taken_and_left(door: Door, said: list[dict[str, Any]]) -> None:
    key = await door.sending()
    opened = json.loads(told(door, "resend", key, "delivered").body) | {"type": "email.opened"}
    click = json.loads(told(door, "sendgrid", key, "delivered").body)[0] | {"event": "click"}
    for post in (
        signed(door, "resend", opened),
        signed(door, "sendgrid", [click]),
        # Of a delivery that is not there, of another program on the same account, of no studio's number.
        told(door, "resend", key_of(door.studio, new_id()), "delivered"),
        told(door, "sendgrid", "not-our-key", "bounced"),
        door.signatures.twilio(door.twilio_url, inbound(door, "STOP")),
    ):
        assert (await door.post(post)).status_code == 200
    await door.work_off()
    assert await door.state(key) == ("sending", "")
    assert said == []
    assert all(event["apply_time"] for event in await door.events())


async def test_what_a_database_cannot_hold_is_stored_without_it(door: Door) -> None:
    key = await door.sending()
    event = json.loads(told(door, "sendgrid", key, "delivered").body)[0]
    odd = {**event, "sg_event_id": "\0\ud800" + "x" * 9000, "subject": ["a\0b", {"\0": "\udfff"}]}
    for post in (
        signed(door, "sendgrid", [odd]),
        door.signatures.twilio(door.twilio_url, inbound(door, "ST\0OP")),
    ):
        assert (await door.post(post)).status_code == 200
    await door.work_off()
    assert await door.state(key) == BECOMES["delivered"]
    assert len(await door.events()) == 2


async def test_another_studios_delivery_is_not_touched(door: Door) -> None:
    key = await door.sending()
    foreign = key_of(new_id(), UUID(key.rpartition("-")[2]))
    await door.post(told(door, "resend", foreign, "delivered"))
    await door.work_off()
    assert await door.state(key) == ("sending", "")


def inbound(door: Door, text: str, **more: str) -> dict[str, str]:
    sid = f"SM{new_id().hex}"
    form = {"MessageSid": sid, "AccountSid": door.signatures.twilio_account, "Body": text}
    return {**form, "From": "+4915112345678", "To": STUDIO_NUMBER, **more}


@pytest.mark.parametrize(
    ("text", "granted"),
    [("STOP", False), (" stop ", False), ("Unsubscribe", False), ("START", True), ("unstop", True), ("stop it", None)],
)
async def test_stop_and_start_are_handed_on_with_their_time(
    door: Door, said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch, text: str, granted: bool | None
) -> None:
    async def studio_of(_tx: UnitOfWork, number: str) -> UUID | None:
        return door.studio if number == STUDIO_NUMBER else None

    monkeypatch.setattr(senders, "studio_of", studio_of)
    post = door.signatures.twilio(door.twilio_url, inbound(door, text))
    for _ in range(2):
        answer = await door.post(post)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
        assert answer.text.endswith("<Response></Response>")
    await door.work_off()
    if granted is None:
        assert said == []
        return
    [word] = said
    assert (word["studio"], word["channel"], word["address"]) == (door.studio, "sms", "+4915112345678")
    assert (word["granted"], word["source"]) == (granted, "start" if granted else "stop")
    assert real_now() - word["at"] < timedelta(minutes=1)


async def test_help_is_answered_unless_twilio_has_done_it(door: Door) -> None:
    answer = await door.post(door.signatures.twilio(door.twilio_url, inbound(door, "Help")))
    assert "<Message>Messages about your classes" in answer.text
    assert "Reply STOP" in answer.text
    by_twilio = inbound(door, "HELP", OptOutType="HELP")
    assert "<Message>" not in (await door.post(door.signatures.twilio(door.twilio_url, by_twilio))).text
    said = await door.twins.write(new_number(), STUDIO_NUMBER, "info")
    assert said["status"] == 200
    assert "Reply STOP" in said["answer"]


async def test_dead_and_unwilling_addresses_are_handed_on(door: Door, said: list[dict[str, Any]]) -> None:
    for name in ("resend", "sendgrid"):
        key = await door.sending()
        for event in ("bounced", "complained"):
            await door.post(told(door, name, key, event))
            await door.work_off()
    dead = {"studio": door.studio, "channel": "email", "address": "Ann@Example.test", "reason": "bounced"}
    assert [word for word in said if "reason" in word] == [dead, dead]
    unwilling = [word for word in said if "source" in word]
    assert [(word["address"], word["granted"], word["source"]) for word in unwilling] == [
        ("Ann@Example.test", False, "complaint")
    ] * 2
    said.clear()
    # A mailbox that was full, a phone that was off: another day it may work.
    soft = json.loads(told(door, "resend", await door.sending(), "bounced").body)
    soft["data"]["bounce"]["type"] = "Transient"
    await door.post(signed(door, "resend", soft))
    await door.post(told(door, "twilio", await door.sending("sms"), "bounced"))
    await door.work_off()
    assert said == []
    form = {**_account(door), "MessageSid": "SM9", "MessageStatus": "undelivered", "ErrorCode": "30005", "To": "+1555"}
    await door.post(door.signatures.twilio(f"{door.twilio_url}/deliveries/{await door.sending('sms')}", form))
    await door.work_off()
    assert said == [{"studio": door.studio, "channel": "sms", "address": "+1555", "reason": "bounced"}]


async def test_many_events_come_at_once_and_one_that_fails_holds_up_none(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [await door.sending() for _ in range(3)]
    known = [json.loads(told(door, "sendgrid", key, "delivered").body)[0] for key in keys]
    # In the middle of hundreds that are not ours.
    noise = [{**known[0], "sg_event_id": new_id().hex, "delivery": "other"} for _ in range(250)]
    events = [*noise[:100], *known, *noise[100:]]
    assert (await door.post(signed(door, "sendgrid", events))).status_code == 200
    jobs = await door.notify.sql("SELECT * FROM jobs WHERE kind = 'apply_provider_events' AND state = 'queued'")
    assert len(jobs) == 3

    report, broken = provider_events.deliveries.report, True

    async def fails_at_first(tx: UnitOfWork, **what: Any) -> bool:
        if broken and what["delivery_id"] == UUID(keys[1].rpartition("-")[2]):
            raise RuntimeError("out of order")
        return await report(tx, **what)

    monkeypatch.setattr(provider_events.deliveries, "report", fails_at_first)
    await door.work_once()
    assert [await door.state(key) for key in keys] == [BECOMES["delivered"], ("sending", ""), BECOMES["delivered"]]
    assert [event["external_id"] for event in await door.events() if not event["apply_time"]] == [
        known[1]["sg_event_id"]
    ]
    broken = False
    await door.work_off()
    assert await door.state(keys[1]) == BECOMES["delivered"]


async def test_what_was_told_is_forgotten_but_not_that_it_was(door: Door) -> None:
    key = await door.sending("sms")
    stop = door.signatures.twilio(door.twilio_url, inbound(door, "STOP"))
    for post in (stop, told(door, "twilio", key, "delivered")):
        await door.post(post)
    await door.work_off()
    await door.notify.sql("UPDATE provider_events SET create_time = create_time - interval '34 days'")
    await provider_events.forget(door.notify.resources.database)
    assert all(event["payload"] != "{}" for event in await door.events())
    await door.notify.sql("UPDATE provider_events SET create_time = create_time - interval '2 days'")
    await provider_events.forget(door.notify.resources.database)
    assert [event["payload"] for event in await door.events()] == ["{}", "{}"]
    # Twilio's signature has no time, so an old STOP could come again when its number has long written START.
    assert (await door.post(stop)).status_code == 200
    assert len(await door.events()) == 2
    await door.notify.sql("UPDATE provider_events SET create_time = create_time - interval '2 years'")
    await provider_events.forget(door.notify.resources.database)
    assert await door.events() == []


async def test_the_door_takes_posts_of_known_providers_alone(door: Door) -> None:
    assert (await door.client.get(f"{door.url}/webhooks/resend")).status_code == 405
    answer = await door.client.post(f"{door.url}/webhooks/stranger", content=b"{}")
    assert (answer.status_code, reason_of(answer)) == (400, "WEBHOOK_NOT_SET_UP")
    answer = await door.client.post(f"{door.url}/webhooks/resend", content=b"x" * (1024 * 1024 + 1))
    assert (answer.status_code, reason_of(answer)) == (413, "BODY_TOO_LARGE")


async def test_nothing_personal_is_logged(door: Door, capfd: pytest.CaptureFixture[str]) -> None:
    for name in PROVIDERS:
        await door.post(told(door, name, await door.sending(), "bounced"))
    await door.post(door.signatures.twilio(door.twilio_url, inbound(door, "STOP")))
    await door.work_off()
    logged = "".join(capfd.readouterr()).lower()
    assert "receiveproviderevents" in logged
    for secret in ("ann@example.test", "4915112345678", STUDIO_NUMBER):
        assert secret not in logged


async def test_the_service_sees_the_request_as_it_came_but_no_credentials(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Webhook] = []

    async def receive(_database: Any, _settings: Any, provider: str, webhook: Webhook) -> str:
        seen.append(webhook)
        return provider

    monkeypatch.setattr(provider_events, "receive", receive)
    body = b"\x00\xff not JSON"
    answer = await door.client.post(
        f"{door.url}/webhooks/twilio/A%2FC?x=%2b&x=2&url=http://evil.example",
        content=body,
        headers=[
            ("X-Signed", "one"), ("x-signed", "two"), ("cookie", "__Host-session=s"), ("host", "evil.example"),
            ("content-type", "text/odd"), ("x-forwarded-host", "evil.example"),
        ],
    )  # fmt: skip
    assert (answer.status_code, answer.text) == (200, "twilio")
    [webhook] = seen
    assert webhook.body == body
    assert webhook.url == f"{door.url}/webhooks/twilio/A%2FC?x=%2b&x=2&url=http://evil.example"
    assert webhook.header("x-signed") == "one, two"
    assert not {"cookie", "authorization"} & set(webhook.headers)


async def test_what_twilio_signed_for_another_place_is_refused_here(door: Door) -> None:
    """Over gRPC the caller says what was called."""
    form = {"MessageSid": "SM1", **_account(door)}
    path = f"/webhooks/twilio/{door.signatures.twilio_account}/deliveries/{await door.sending('sms')}"
    for place, ours in ((door.url, True), ("https://staging.example", False)):
        post = door.signatures.twilio(place + path, form)
        request = ReceiveProviderEventsRequest(
            source="twilio/x", body=HttpBody(data=post.body), headers=post.headers, url=post.url
        )
        call = door.notify.anonymous(ProviderEventServiceStub).ReceiveProviderEvents(request)
        if ours:
            await call
            continue
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await call
        assert grpc_reason_of(refusal.value) == "SIGNATURE_INVALID"


async def test_what_several_workers_apply_at_once_is_done_once(
    door: Door, said: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def studio_of(_tx: UnitOfWork, _number: str) -> UUID | None:
        return door.studio

    monkeypatch.setattr(senders, "studio_of", studio_of)
    await door.post(door.signatures.twilio(door.twilio_url, inbound(door, "STOP")))
    [event] = await door.events()
    settings = door.notify.resources.settings
    assert isinstance(settings, NotifySettings)
    each = (provider_events.apply(door.notify.resources.database, settings, [event["id"]]) for _ in range(4))
    assert await asyncio.gather(*each) == [0, 0, 0, 0]
    assert len(said) == 1


async def test_senders_of_webhooks_have_a_limit_of_their_own(mesh: Mesh, twins: Sandboxes) -> None:
    async with open_door(mesh, twins, gateway={"POWERHOUSE_PUBLIC_RATE_LIMIT": "0.1"}) as door:
        post = told(door, "resend", await door.sending(), "delivered")
        assert {(await door.post(post)).status_code for _ in range(10)} == {200}
    async with open_door(mesh, twins, gateway={"POWERHOUSE_WEBHOOK_RATE_LIMIT": "0.5"}) as door:
        post = told(door, "resend", await door.sending(), "delivered")
        assert 429 in {(await door.post(post)).status_code for _ in range(10)}
