"""The feed: heals a lost message or a wiped broker. Subscribers ask each publisher once a minute what they missed."""

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from powerhouse.events.v1 import event_feed_pb2, event_feed_pb2_grpc
from services.chassis.clock import real_now
from services.chassis.db.database import Database
from services.chassis.messaging import inbox
from services.chassis.messaging.consumers import Consumers
from services.chassis.messaging.envelope import COLUMNS, Envelope
from services.chassis.rpc.codec import from_timestamp, to_timestamp
from services.chassis.rpc.stubs import Stubs
from services.chassis.telemetry import EVENTS_HEALED, logger

log = logger(__name__)

_EVENTS_PER_RESPONSE = 200
# Seconds a pull may take; what it has brought by then is kept, and the next one goes on from there.
_PULL_LIMIT = 30
_SERVICE = event_feed_pb2.DESCRIPTOR.services_by_name["EventFeed"]
_BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)

_WINDOW = "type = ANY($1::text[]) AND {time} >= $2 AND {time} < $3"
_COUNT_THERE = f"SELECT count(*) FROM outbox WHERE {_WINDOW.format(time='create_time')}"  # noqa: S608 - constants only
_COUNT_HERE = f"SELECT count(*) FROM inbox WHERE {_WINDOW.format(time='source_time')}"  # noqa: S608 - constants only
_NEXT = (
    f"SELECT {COLUMNS} FROM outbox WHERE {_WINDOW.format(time='create_time')} AND (create_time, event_id) > ($4, $5)"  # noqa: S608 - constants only
    f" ORDER BY create_time, event_id LIMIT {_EVENTS_PER_RESPONSE}"
)
_READ_POSITION = "SELECT checked_until FROM feed_positions WHERE source = $1"
_MOVE_POSITION = (
    "INSERT INTO feed_positions (source, checked_until) VALUES ($1, $2)"
    " ON CONFLICT (source) DO UPDATE SET checked_until = greatest(feed_positions.checked_until, excluded.checked_until)"
)
_NO_EVENT = "00000000-0000-0000-0000-000000000000"


class EventFeedServicer(event_feed_pb2_grpc.EventFeedServicer):
    """Serves a publisher's outbox to its subscribers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def PullEvents(
        self, request: event_feed_pb2.PullEventsRequest, context: Any
    ) -> AsyncIterator[event_feed_pb2.PullEventsResponse]:
        """The window's events in the order of their times; nothing when the subscriber knows as many as there are."""
        window = (list(request.types), from_timestamp(request, "after"), from_timestamp(request, "before"))
        if (await self._database.hot(_COUNT_THERE, *window))[0][0] == request.known_count:
            return
        last: tuple[datetime | None, object] = (window[1], _NO_EVENT)
        while rows := await self._database.hot(_NEXT, *window, *last):
            yield event_feed_pb2.PullEventsResponse(events=[Envelope.of_row(row).as_proto() for row in rows])
            last = (rows[-1]["create_time"], rows[-1]["event_id"])


class FeedCheck:
    """Compares the inbox with each publisher's outbox and applies what never came."""

    def __init__(
        self, database: Database, consumers: Consumers, stubs: Stubs, *, grace: timedelta, overlap: timedelta
    ) -> None:
        self._database, self._consumers, self._stubs = database, consumers, stubs
        self._grace, self._overlap = grace, overlap

    async def check(self, source: str, types: Sequence[str]) -> int:
        """Brings everything that `source` committed up to `grace` ago; returns how many events were missing.

        Raises when the source is away. A new subscriber starts with all that the source still has; deleting its row in
        feed_positions starts over.
        """
        before = real_now() - self._grace
        stored = await self._database.hot(_READ_POSITION, source)
        after = stored[0]["checked_until"] - self._overlap if stored else _BEGINNING
        known = (await self._database.hot(_COUNT_HERE, list(types), after, before))[0][0]
        request = event_feed_pb2.PullEventsRequest(
            types=types, after=to_timestamp(after), before=to_timestamp(before), known_count=known
        )
        stub = self._stubs.get(event_feed_pb2_grpc.EventFeedStub, _SERVICE, source)
        healed = 0
        async for response in stub.PullEvents(request, timeout=_PULL_LIMIT):
            events = [Envelope.of_proto(event) for event in response.events]
            healed += await inbox.apply(self._database, self._consumers, events)
            # All before the last one has had its effect, so a pull that is cut off has not been in vain.
            await self._database.hot(_MOVE_POSITION, source, events[-1].source_time)
        await self._database.hot(_MOVE_POSITION, source, before)
        if healed:
            EVENTS_HEALED.labels(source).inc(healed)
            log.warning("events_healed", source=source, count=healed)
        return healed
