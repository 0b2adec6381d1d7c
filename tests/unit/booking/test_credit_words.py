"""Sentences about credits."""

from datetime import UTC, datetime
from typing import Any

import pytest

from services.booking.credit_words import Entry, sentence
from services.chassis.ids import new_id

# Ten in Berlin.
START = datetime(2026, 3, 3, 9, tzinfo=UTC)


def entry(cause: str, **fields: Any) -> Entry:
    plain: dict[str, Any] = {
        "transfer_id": 1,
        "create_time": START,
        "package_id": new_id(),
        "package": "10 classes",
        "amount": 1,
        "balance": 1,
        "reason": "",
        "booking_id": None,
        "class_session_id": new_id(),
        "class_type": "Reformer Flow",
        "start_time": START,
        "time_zone": "Europe/Berlin",
    }
    return Entry(cause=cause, **{**plain, **fields})


@pytest.mark.parametrize(
    ("cause", "fields", "words"),
    [
        ("granted", {"amount": 10}, "Received 10 classes: 10 credits"),
        ("booked", {"amount": -1}, "Booked Reformer Flow on Tue 3 Mar 10:00: 1 credit"),
        ("cancelled_early", {}, "Came back: Reformer Flow on Tue 3 Mar 10:00 was cancelled in time"),
        ("session_cancelled", {}, "Came back: the studio cancelled Reformer Flow on Tue 3 Mar 10:00"),
        (
            "session_restored",
            {"amount": -1},
            "Booked again, since it takes place after all, Reformer Flow on Tue 3 Mar 10:00: 1 credit",
        ),
        ("displaced", {}, "Came back: no place was left in Reformer Flow on Tue 3 Mar 10:00"),
        ("waived", {"reason": "ill"}, "Came back: the studio let Reformer Flow on Tue 3 Mar 10:00 pass: ill"),
        ("held", {"amount": -1}, "Set aside while you wait for Reformer Flow on Tue 3 Mar 10:00: 1 credit"),
        ("released", {}, "Came back: you no longer wait for Reformer Flow on Tue 3 Mar 10:00"),
        (
            "promoted",
            {"amount": 0},
            "A place became free: what was set aside pays for Reformer Flow on Tue 3 Mar 10:00",
        ),
        ("expired", {"amount": -3}, "Expired: 3 credits of 10 classes"),
        ("revoked", {"amount": -3, "reason": "fraud"}, "Taken back by the studio: fraud"),
        ("revoked", {"amount": -1}, "Taken back by the studio"),
        ("adjusted", {"amount": 2, "reason": "sorry"}, "Adjusted by the studio: sorry"),
    ],
)
def test_each_cause_in_words(cause: str, fields: dict[str, Any], words: str) -> None:
    assert sentence(entry(cause, **fields)) == words


def test_a_class_that_is_not_known() -> None:
    unknown = entry("booked", class_session_id=None, class_type=None, start_time=None, time_zone=None)
    assert sentence(unknown) == "Booked a class: 1 credit"


def test_what_staff_write_is_no_template() -> None:
    assert sentence(entry("adjusted", reason="{package} 100 %")) == "Adjusted by the studio: {package} 100 %"
