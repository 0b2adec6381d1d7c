"""What a service does with the events of others: one handler per event type, registered in its consumers.py."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from services.chassis.db.unit_of_work import UnitOfWork

M = TypeVar("M", bound=Message)


@dataclass(frozen=True)
class Event(Generic[M]):
    """One change at another service: `create_time` in real time, `version` of the aggregate after it."""

    event_id: UUID
    # None when the event is of no studio.
    tenant: UUID | None
    aggregate: str
    aggregate_id: UUID
    version: int
    create_time: datetime
    traceparent: str | None
    payload: M


Handler = Callable[[UnitOfWork, Event[M]], Awaitable[None]]


@dataclass(frozen=True)
class Consumer:
    """A handler and the message it wants."""

    message_type: type[Message]
    handler: Handler[Any]


class Consumers:
    """The event types a service listens to.

    Events come in any order and more than once, but each has its effect once: the handler's changes and the mark that
    it was here commit together. A handler only applies the event and enqueues jobs; it waits for nothing but the
    database. One that raises rolls back alone and is parked as a dead letter.
    """

    def __init__(self) -> None:
        self._by_type: dict[str, Consumer] = {}

    def on(self, message_type: type[M]) -> Callable[[Handler[M]], Handler[M]]:
        """Registers `async def handler(tx, event)`; `tx` works in the event's studio, or in none (NO_TENANT)."""
        name = message_type.DESCRIPTOR.full_name
        if name in self._by_type:
            raise ValueError(f"{name} has a handler already")

        def register(handler: Handler[M]) -> Handler[M]:
            self._by_type[name] = Consumer(message_type, handler)
            return handler

        return register

    def get(self, event_type: str) -> Consumer | None:
        """Who handles this type, None when nobody here does."""
        return self._by_type.get(event_type)

    def sources(self) -> dict[str, list[str]]:
        """The event types listened to, by the service that publishes them."""
        found: dict[str, list[str]] = {}
        for name in sorted(self._by_type):
            found.setdefault(publisher_of(name), []).append(name)
        return found


def publisher_of(event_type: str) -> str:
    """The service that publishes a type: `powerhouse.booking.v1.BookingChanged` is booking's."""
    return event_type.split(".")[1]
