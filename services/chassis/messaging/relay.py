"""The relay: takes committed events from the outbox to the broker, at least once, and marks them after the confirm."""

from collections import Counter
from collections.abc import Iterator, Sequence

from sqlalchemy import text

from services.chassis.clock import real_now
from services.chassis.crashpoints import crashpoint
from services.chassis.db.database import Database
from services.chassis.messaging import topology
from services.chassis.messaging.envelope import COLUMNS, Envelope
from services.chassis.messaging.publisher import Message, Publisher
from services.chassis.telemetry import EVENTS_PUBLISHED, RELAY_LAG

EVENTS_PER_MESSAGE = 100
_EVENTS_PER_ROUND = 500

_OLDEST = "SELECT create_time FROM outbox WHERE publish_time IS NULL ORDER BY create_time LIMIT 1"
# By state and never by "newer than the last one": transactions do not commit in the order of their times.
_CLAIM = text(
    f"SELECT {COLUMNS} FROM outbox WHERE publish_time IS NULL ORDER BY create_time LIMIT {_EVENTS_PER_ROUND}"  # noqa: S608 - constants only
    " FOR UPDATE SKIP LOCKED"
)
_MARK = text("UPDATE outbox SET publish_time = clock_timestamp() WHERE event_id = ANY(CAST(:ids AS uuid[]))")


class Relay:
    """Any number of relays share an outbox: each row is published by the one that has locked it."""

    def __init__(self, service: str, database: Database, publisher: Publisher) -> None:
        self._service, self._database, self._publisher = service, database, publisher

    async def step(self) -> bool:
        """Publishes one round; True when there is more. Raises when the broker or the database is away."""
        oldest = await self._database.hot(_OLDEST)
        RELAY_LAG.set((real_now() - oldest[0]["create_time"]).total_seconds() if oldest else 0)
        if not oldest:
            return False
        async with self._database.transaction() as tx:
            rows = (await tx.session.execute(_CLAIM)).mappings()
            events = [Envelope.of_row(row) for row in rows]
            if events:
                await self._publisher.send(list(self._messages(events)))
                crashpoint("relay_after_publish")
                await tx.session.execute(_MARK, {"ids": [event.event_id for event in events]})
        for event_type, count in Counter(event.type for event in events).items():
            EVENTS_PUBLISHED.labels(event_type).inc(count)
        return len(events) == _EVENTS_PER_ROUND

    def _messages(self, events: Sequence[Envelope]) -> Iterator[Message]:
        by_aggregate: dict[str, list[Envelope]] = {}
        for event in events:
            by_aggregate.setdefault(event.aggregate, []).append(event)
        for aggregate, group in by_aggregate.items():
            for start in range(0, len(group), EVENTS_PER_MESSAGE):
                yield Message(
                    task=topology.APPLY_EVENTS,
                    exchange=topology.EVENTS.name,
                    routing_key=f"{self._service}.{aggregate}",
                    body=[event.as_json() for event in group[start : start + EVENTS_PER_MESSAGE]],
                )
