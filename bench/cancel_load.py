"""Cancellations over gRPC from one event loop: `python -m bench.cancel_load`, task on stdin, seconds on stdout."""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import uvloop

from bench import h2
from bench.grpc_load import Tokens
from powerhouse.booking.v1.booking_service_pb2 import CancelBookingRequest
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from services.chassis.rpc.stubs import Tls

CANCEL = "/powerhouse.booking.v1.BookingService/CancelBooking"


@dataclass(frozen=True)
class Task:
    """What to do."""

    booking_target: str
    identity_target: str
    # Holds the certificate that the load shows.
    tls_dir: str
    # By studio.
    api_keys: list[str]
    # Number of the studio and name of each booking to cancel, in this order.
    bookings: list[tuple[int, str]]
    in_flight: int


async def load(task: Task) -> float:
    """Cancels all of them. Raises Failed for any refusal."""
    tls_dir = Path(task.tls_dir)
    booking = await h2.connect(task.booking_target, "booking", CANCEL, tls_dir)
    named = [("grpc.ssl_target_name_override", "identity")]
    async with grpc.aio.secure_channel(task.identity_target, Tls(tls_dir).client(), named) as identity:
        tokens, bookings = Tokens(IdentityServiceStub(identity), task.api_keys), iter(task.bookings)
        await tokens.refresh()
        started = time.monotonic()
        await asyncio.gather(*(_cancel(booking, tokens, bookings) for _ in range(task.in_flight)))
        return time.monotonic() - started


async def _cancel(booking: h2.Connection, tokens: Tokens, bookings: Iterator[tuple[int, str]]) -> None:
    for studio, name in bookings:
        request = CancelBookingRequest(name=name, request_id=name)
        await booking.call(request.SerializeToString(), tokens.header(studio))


if __name__ == "__main__":
    print(json.dumps(uvloop.run(load(Task(**json.load(sys.stdin))))))
