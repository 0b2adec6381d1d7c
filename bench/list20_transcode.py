"""CPU of writing a list of 20 bookable sessions as JSON: the gateway's transcoder against json_format.

Prints the ratio, the median of interleaved rounds. Both read messages that were just parsed, as a gateway does, and
both write by orjson: json_format's own `MessageToJson` is slower still.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import orjson
from google.protobuf import json_format
from google.protobuf.message import Message

from gateway.transcoding.json_writer import writer
from powerhouse.booking.v1 import booking_service_pb2 as pb

ROUNDS = 15
MESSAGES = 200
MONDAY_NINE = 1_795_424_400
HOUR = 3600


def main() -> None:
    """Measures and prints."""
    sample = _sample()
    encode = writer(pb.ListBookableSessionsResponse.DESCRIPTOR)
    ways = (
        lambda message: orjson.dumps(encode(message)),
        lambda message: orjson.dumps(json_format.MessageToDict(message, always_print_fields_with_no_presence=True)),
    )
    parsed = pb.ListBookableSessionsResponse.FromString(sample)
    if ways[0](parsed) != ways[1](parsed):
        raise SystemExit("the two differ")
    ratios = []
    for _ in range(ROUNDS):
        ours, reference = (_cpu(way, sample) for way in ways)
        ratios.append(ours / reference)
    print(f"{statistics.median(ratios):.3f}")


def _cpu(write: Callable[[Message], bytes], sample: bytes) -> float:
    messages = [pb.ListBookableSessionsResponse.FromString(sample) for _ in range(MESSAGES)]
    started = time.process_time()
    for message in messages:
        write(message)
    return time.process_time() - started


def _sample() -> bytes:
    """A day of a studio: rooms with spots, some classes full, all names of usual length."""
    response = pb.ListBookableSessionsResponse(next_page_token="")
    studio = "studios/019aab3c-7f20-7c11-9d5a-0f6f6ad6a001"
    for index in range(20):
        session = response.bookable_sessions.add(
            class_session=f"{studio}/classSessions/019aab3c-8d41-7a52-b0c3-5a1c1e3f{index:04x}",
            class_type_display_name="Reformer Flow",
            instructor_display_name="Maja Nováková",
            room_display_name="Studio A",
            location_display_name="Prenzlauer Berg",
            local_start=f"2026-11-23T{9 + index % 10:02}:00",
            time_zone="Europe/Berlin",
            capacity=12,
            free_places=index % 5,
            free_spots=[f"R{spot}" for spot in range(index % 5)],
            availability="OPEN" if index % 5 else "FULL",
        )
        start = MONDAY_NINE + HOUR * (index % 10)
        session.start_time.FromSeconds(start)
        session.end_time.FromSeconds(start + HOUR)
        session.free_cancel_until.FromSeconds(start - 12 * HOUR)
    return response.SerializeToString()


if __name__ == "__main__":
    main()
