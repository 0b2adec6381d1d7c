"""A calendar feed as a calendar reads it: over HTTP, without an account, and without a trace of its secret."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest
from icalendar import Calendar
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import generate_latest

from embedded.certificates import Certificates
from gateway.app import create_app
from gateway.settings import Settings
from gateway.upstreams import SERVICES, Upstreams
from powerhouse.booking.v1 import calendar_service_pb2 as pb
from powerhouse.booking.v1 import client_service_pb2
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking.service import SERVICE
from services.chassis import config, telemetry
from services.chassis.ids import new_id
from services.chassis.rpc.stubs import Tls, open_channel
from tests.integration.booking.house import BookingStub, House, key
from tests.integration.gateway.house import gateway_environ
from tests.support.services import Mesh


@dataclass
class Front:
    """A studio of the real booking service, and a gateway before it."""

    house: House
    client: httpx.AsyncClient

    async def feed(self) -> tuple[pb.CalendarFeed, str]:
        """A client's feed and the path of its address."""
        client = await self.house.add_client()
        await self.house.book(await self.house.plan(), client)
        feed = await self.house.staff.CreateCalendarFeed(
            pb.CreateCalendarFeedRequest(
                parent=self.house.name, calendar_feed=pb.NewCalendarFeed(subject=client.name), request_id=key()
            )
        )
        return feed, httpx.URL(feed.url).path


@pytest.fixture
async def front(postgres_url: str, certificates: Certificates) -> AsyncIterator[Front]:
    async with Mesh(postgres_url, certificates).running(SERVICE) as running:
        target, tenant = f"127.0.0.1:{running.port}", new_id()
        tls = Tls(certificates.tls("gateway"))
        channel = open_channel(SERVICES["booking"], "booking", target, tls)
        # Nobody signs in here, so identity is never called.
        upstreams = Upstreams({"booking": channel, "identity": channel}, {"booking": SERVICES["booking"]})
        environ = gateway_environ(certificates, dict.fromkeys(SERVICES, target))
        settings = config.load(Settings, environ | {"POWERHOUSE_PUBLIC_RATE_LIMIT": "4"})
        transport = httpx.ASGITransport(create_app(settings, upstreams))
        async with httpx.AsyncClient(transport=transport, base_url="https://studio.example") as client:
            staff = running.as_account(BookingStub, roles={tenant: [Role.ROLE_FRONT_DESK]})
            yield Front(House(running, tenant, staff), client)
        await upstreams.close()


async def test_a_calendar_reads_it_without_an_account(front: Front) -> None:
    _, path = await front.feed()
    answer = await front.client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert (answer.headers["cache-control"], answer.headers["vary"]) == ("private, no-cache", "Authorization, Cookie")
    assert len(Calendar.from_ical(answer.content).walk("VEVENT")) == 1


async def test_what_it_has_already_is_not_sent_again(front: Front) -> None:
    feed, path = await front.feed()
    etag = (await front.client.get(path)).headers["etag"]
    front.house.move(hours=2)
    again = await front.client.get(path, headers={"if-none-match": etag})
    assert (again.status_code, again.content) == (304, b"")
    client = await front.house.staff.GetClient(client_service_pb2.GetClientRequest(name=feed.subject))
    await front.house.grant(client)
    await front.house.book(await front.house.plan(), client)
    changed = await front.client.get(path, headers={"if-none-match": etag})
    assert changed.status_code == 200
    assert len(Calendar.from_ical(changed.content).walk("VEVENT")) == 2


async def test_what_is_revoked_is_as_if_it_never_was(front: Front) -> None:
    feed, path = await front.feed()
    await front.house.staff.RevokeCalendarFeed(pb.RevokeCalendarFeedRequest(name=feed.name, request_id=key()))
    answers = [
        await front.client.get(each)
        for each in (path, f"/v1/calendars/{'A' * 64}.ics", "/v1/calendars/x", path.removesuffix(".ics"))
    ]
    assert {answer.status_code for answer in answers} == {404}
    assert len({answer.content for answer in answers}) == 1
    assert (await front.client.get(f"{path}/more")).json()["error"]["details"][0]["reason"] == "NO_SUCH_PATH"


async def test_its_secret_is_in_no_log_no_metric_and_no_trace(
    front: Front, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry, "tracer", provider.get_tracer("test"))
    feed, path = await front.feed()
    await front.client.get(path)
    # One that has a fault, and one that leads nowhere.
    await front.client.get(f"{path}x")
    await front.client.get(f"{path}/more")
    await front.client.post(path)
    seen = {
        "log": capsys.readouterr().out,
        "metrics": generate_latest().decode(),
        "spans": "".join(span.to_json() for span in exporter.get_finished_spans()),
    }
    token = feed.url.rpartition("/")[2].removesuffix(".ics")
    for where, text in seen.items():
        assert "/v1/calendars/{file}" in text, where
        assert token not in text, where


async def test_strangers_may_not_try_for_long(front: Front) -> None:
    codes = [(await front.client.get(f"/v1/calendars/{'A' * 64}.ics")).status_code for _ in range(60)]
    assert set(codes) == {404, 429}
