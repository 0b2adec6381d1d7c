"""Web push against a push service that checks our signature and browsers that read what is sent to them."""

from base64 import urlsafe_b64encode

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from services.notify.providers.answers import Deferred, NotReached, NotSent, Rejected, Unclear
from services.notify.providers.push import Push, Subscription, SubscriptionGone
from services.notify.providers.web_push import WebPush
from tests.integration.notify.channels import HANG, NOBODY, PATIENCE, Sandboxes, gate, new_key

NUMBER = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
PRIVATE_KEY = urlsafe_b64encode(NUMBER.to_bytes(32, "big")).rstrip(b"=").decode()


def provider(*services: str) -> WebPush:
    gates = {service: gate() for service in services}
    return WebPush(PRIVATE_KEY, "mailto:studio@north.example", gates, timeout=PATIENCE)


async def push_to_new_browser(twins: Sandboxes, endpoint: str = "") -> Push:
    subscription = await twins.browser()
    to = Subscription(endpoint or subscription["endpoint"], **subscription["keys"])
    return Push(to, "Pilates at ten", "Grüße 🙂", "https://studio.example/b/1", lifetime=3600)


def browser_of(push: Push) -> str:
    return push.to.endpoint.rpartition("/")[2]


async def test_a_browser_reads_what_was_sent_and_a_repeat_has_the_same_topic(twins: Sandboxes) -> None:
    push, key = await push_to_new_browser(twins), new_key()
    message_id = await provider(twins.url).send(push, key)
    [got] = await twins.messages(browser_of(push))
    assert (got["subject"], got["text"], got["link"]) == (push.title, push.text, push.link)
    assert message_id.endswith(got["id"])
    assert got["headers"] == {"TTL": "3600", "Topic": key.rpartition("-")[2]}


async def test_a_subscription_that_is_gone_is_to_be_forgotten(twins: Sandboxes) -> None:
    push = await push_to_new_browser(twins)
    async with httpx.AsyncClient(timeout=60) as client:
        await client.delete(f"{twins.url}/sandbox/push/{browser_of(push)}")
    with pytest.raises(SubscriptionGone):
        await provider(twins.url).send(push, new_key())


WEATHER: dict[str, tuple[object, type[NotSent]]] = {
    "reject_429": ({"count": 1, "seconds": 7}, Deferred),
    "reject_500": (1, Unclear),
    "reject_html": (1, Unclear),
    "accept_then_500": (1, Unclear),
    "accept_then_close": (1, Unclear),
    "accept_then_hang": (HANG, Unclear),
}


@pytest.mark.parametrize("fault", WEATHER)
async def test_every_fault_says_what_is_known(twins: Sandboxes, fault: str) -> None:
    knob, meaning = WEATHER[fault]
    await twins.weather(**{f"push:{fault}": knob})
    with pytest.raises(NotSent) as answer:
        await provider(twins.url).send(await push_to_new_browser(twins), new_key())
    assert type(answer.value) is meaning


async def test_who_was_never_reached_has_nothing(twins: Sandboxes) -> None:
    with pytest.raises(NotReached):
        await provider(NOBODY).send(await push_to_new_browser(twins, f"{NOBODY}/x"), new_key())


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://fcm.googleapis.com.evil.example/x",
        "https://evil.example/https://fcm.googleapis.com/",
        "https://fcm.googleapis.com@evil.example/x",
        "https://evilpush.apple.com/x",
        "https://push.apple.com.evil.example/x",
        "http://fcm.googleapis.com/x",
        "https://fcm.googleapis.com:8443/x",
        "https://[::1/x",
        "file:///etc/passwd",
        "",
    ],
)
async def test_only_known_push_services_are_called(twins: Sandboxes, endpoint: str) -> None:
    push = await push_to_new_browser(twins)
    push = Push(Subscription(endpoint, push.to.p256dh, push.to.auth), push.title, push.text, push.link, 60)
    with pytest.raises(Rejected, match="the address is of no push service we know"):
        await provider("https://fcm.googleapis.com", "https://*.push.apple.com").send(push, new_key())


@pytest.mark.parametrize(("p256dh", "auth"), [("", ""), ("AAAA", "AAAA"), ("é", "é"), ("A" * 87, "AAAA")])
async def test_keys_that_are_none_are_refused(twins: Sandboxes, p256dh: str, auth: str) -> None:
    push = Push(Subscription(f"{twins.url}/push/x", p256dh, auth), "a", "b", "c", 60)
    with pytest.raises(Rejected, match="the browser's keys are none"):
        await provider(twins.url).send(push, new_key())
