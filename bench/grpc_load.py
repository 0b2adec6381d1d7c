"""Bookings over gRPC from one event loop: `python -m bench.grpc_load`, task on stdin, tally on stdout, both JSON."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from typing import Any

import grpc
import uvloop

from bench import h2, plan
from powerhouse.booking.v1.booking_service_pb2 import CreateBookingRequest, NewBooking
from powerhouse.identity.v1.identity_service_pb2 import ExchangeTokenRequest
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from services.chassis.rpc.stubs import Tls

BOOK = "/powerhouse.booking.v1.BookingService/CreateBooking"
# Tokens live for a minute.
REFRESHED_AFTER = 40.0


@dataclass(frozen=True)
class Task:
    """What to do."""

    booking_target: str
    identity_target: str
    # Holds the certificate that the load shows.
    tls_dir: str
    # By studio.
    api_keys: list[str]
    first: int
    in_flight: int
    seconds: float


@dataclass
class Tally:
    """What came of it."""

    booked: int = 0
    # Of those, before time was up.
    booked_in_time: int = 0


class Tokens:
    """A token of booking's audience for each studio."""

    def __init__(self, identity: Any, keys: list[str]) -> None:
        self._identity, self._keys = identity, keys
        self._headers: list[str] = []
        self._due = 0.0

    async def refresh(self) -> None:
        """Exchanges all keys when it is time."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + REFRESHED_AFTER
        requests = [ExchangeTokenRequest(audience="booking", api_key=key) for key in self._keys]
        answers = await asyncio.gather(*(self._identity.ExchangeToken(request) for request in requests))
        self._headers = [f"Bearer {answer.token}" for answer in answers]

    def header(self, studio: int) -> str:
        return self._headers[studio]


async def load(task: Task) -> Tally:
    """Keeps `in_flight` calls going until time is up, then waits for the last. Raises Failed for any refusal."""
    tls_dir = Path(task.tls_dir)
    booking = await h2.connect(task.booking_target, "booking", BOOK, tls_dir)
    named = [("grpc.ssl_target_name_override", "identity")]
    async with grpc.aio.secure_channel(task.identity_target, Tls(tls_dir).client(), named) as identity:
        tokens, tally, numbers = Tokens(IdentityServiceStub(identity), task.api_keys), Tally(), count(task.first)
        await tokens.refresh()
        ends = time.monotonic() + task.seconds
        await asyncio.gather(*(_book(booking, tokens, numbers, ends, tally) for _ in range(task.in_flight)))
        return tally


async def _book(booking: h2.Connection, tokens: Tokens, numbers: Iterator[int], ends: float, tally: Tally) -> None:
    while time.monotonic() < ends:
        await tokens.refresh()
        number = next(numbers)
        wanted = plan.wanted(number)
        request = CreateBookingRequest(
            parent=wanted.parent,
            booking=NewBooking(class_session=wanted.class_session, client=wanted.client),
            request_id=str(number),
        )
        await booking.call(request.SerializeToString(), tokens.header(wanted.studio))
        tally.booked += 1
        tally.booked_in_time += time.monotonic() < ends


if __name__ == "__main__":
    print(json.dumps(asdict(uvloop.run(load(Task(**json.load(sys.stdin)))))))
