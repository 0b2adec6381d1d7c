"""What the gateway's JSON of a page of 20 bookable sessions costs, against protobuf's json_format."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import orjson
from google.protobuf import json_format
from google.protobuf.message import Message

from bench import plan
from bench.report import Figure, figure
from gateway.transcoding.bindings import Router
from gateway.transcoding.encode import encode_response
from gateway.upstreams import CONTRACTS
from powerhouse.booking.v1.booking_pb2 import BookableSession
from powerhouse.booking.v1.booking_service_pb2 import ListBookableSessionsResponse

LISTED = 20
RPC = "/powerhouse.booking.v1.BookingService/ListBookableSessions"
# Seconds of each of the two in one round.
SLICE = 0.2


def measure(rounds: int) -> Figure:
    """Rounds of both in turn."""
    page = _page()
    binding = next(binding for binding in Router(CONTRACTS).bindings if binding.rpc == RPC)
    if encode_response(binding, page)[0] != _by_json_format(page):
        raise AssertionError("the gateway's JSON is not json_format's")
    ours, theirs = [], []
    for _ in range(rounds + 1):
        theirs.append(_cost(lambda: _by_json_format(page)))
        ours.append(_cost(lambda: encode_response(binding, page)))
    # The first round warms up.
    ratios = [our / their for our, their in zip(ours[1:], theirs[1:], strict=True)]
    return figure("list20_transcode_cpu", "json_format", ratios, ours[1:])


def _by_json_format(message: Message) -> bytes:
    return orjson.dumps(json_format.MessageToDict(message, always_print_fields_with_no_presence=True))


def _cost(work: Callable[[], object]) -> float:
    """Microseconds of CPU for one call."""
    calls, started = 0, time.process_time()
    while (spent := time.process_time() - started) < SLICE:
        work()
        calls += 1
    return 1e6 * spent / calls


def _page() -> Message:
    start = datetime(2026, 11, 23, 9, tzinfo=UTC)
    return ListBookableSessionsResponse(
        bookable_sessions=[_session(start + timedelta(hours=hour), ["A1", "A2", "B1"]) for hour in range(LISTED)],
    )


def _session(start: datetime, free_spots: Sequence[str]) -> BookableSession:
    session = BookableSession(
        class_session=plan.wanted(start.hour).class_session,
        class_type_display_name="Reformer Flow",
        instructor_display_name="Ada Lovelace",
        room_display_name="Studio A",
        location_display_name="Berlin Mitte",
        local_start=start.strftime("%Y-%m-%dT%H:%M"),
        time_zone="Europe/Berlin",
        capacity=12,
        free_places=3,
        free_spots=free_spots,
        availability=BookableSession.OPEN,
    )
    session.start_time.FromDatetime(start)
    session.end_time.FromDatetime(start + timedelta(minutes=50))
    session.free_cancel_until.FromDatetime(start - timedelta(hours=12))
    return session
