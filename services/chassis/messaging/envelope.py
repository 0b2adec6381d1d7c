"""How an event travels: the same fields in the broker's JSON, in the feed's protobuf and in dead letters."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from google.protobuf.json_format import MessageToDict, ParseDict

from powerhouse.events.v1 import event_feed_pb2
from services.chassis.messaging.consumers import Consumer, Event
from services.chassis.rpc.codec import to_timestamp

# The columns of the outbox that travel; `payload` is proto3 JSON.
COLUMNS = "event_id, tenant_id, type, aggregate, aggregate_id, version, create_time, traceparent, payload::text"


@dataclass(frozen=True)
class Envelope:
    """One event in plain JSON values. `tenant` and `traceparent` are empty when there is none."""

    event_id: str
    tenant: str
    type: str
    aggregate: str
    aggregate_id: str
    version: int
    # RFC 3339 with microseconds: the subscriber's inbox must count it in the same window as the outbox.
    create_time: str
    traceparent: str
    payload: dict[str, Any]

    @classmethod
    def of_row(cls, row: Any) -> "Envelope":
        """From an outbox row of `COLUMNS`."""
        return cls(
            event_id=str(row["event_id"]),
            tenant=str(row["tenant_id"] or ""),
            type=row["type"],
            aggregate=row["aggregate"],
            aggregate_id=str(row["aggregate_id"]),
            version=row["version"],
            create_time=row["create_time"].isoformat(),
            traceparent=row["traceparent"] or "",
            payload=json.loads(row["payload"]),
        )

    @classmethod
    def of_json(cls, value: Mapping[str, Any]) -> "Envelope":
        """From `as_json`. Fields of a later release are ignored."""
        return cls(**{name: value[name] for name in cls.__dataclass_fields__})

    @classmethod
    def of_proto(cls, event: event_feed_pb2.Event) -> "Envelope":
        """From the feed."""
        return cls(
            event_id=event.event_id,
            tenant=event.tenant,
            type=event.type,
            aggregate=event.aggregate,
            aggregate_id=event.aggregate_id,
            version=event.version,
            create_time=event.create_time.ToDatetime().isoformat() + "+00:00",
            traceparent=event.traceparent,
            payload=MessageToDict(event.payload),
        )

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    def as_proto(self) -> event_feed_pb2.Event:
        event = event_feed_pb2.Event(
            event_id=self.event_id,
            tenant=self.tenant,
            type=self.type,
            aggregate=self.aggregate,
            aggregate_id=self.aggregate_id,
            version=self.version,
            create_time=to_timestamp(self.source_time),
            traceparent=self.traceparent,
        )
        event.payload.update(self.payload)
        return event

    @property
    def source_time(self) -> datetime:
        """When its owner committed it."""
        return datetime.fromisoformat(self.create_time)

    def open(self, consumer: Consumer) -> Event[Any]:
        """What a handler gets. Raises ValueError or ParseError when the payload is not the consumer's message."""
        return Event(
            event_id=UUID(self.event_id),
            tenant=UUID(self.tenant) if self.tenant else None,
            aggregate=self.aggregate,
            aggregate_id=UUID(self.aggregate_id),
            version=self.version,
            create_time=self.source_time,
            traceparent=self.traceparent or None,
            payload=ParseDict(self.payload, consumer.message_type(), ignore_unknown_fields=True),
        )
