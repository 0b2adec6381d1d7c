"""The load of the chaos tests: a front desk that books, and repeats until it has an answer."""

import random
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.product import Product, Visitor


def clients(owner: Visitor) -> list[dict[str, str]]:
    """Those who can book and be written to."""
    page = owner.get(f"/v1/{owner.studio}/clients", pageSize="200")
    return [client for client in page["clients"] if client["creditsLeft"] and client["email"]]


def sessions(owner: Visitor, ahead: timedelta = timedelta()) -> list[str]:
    """Names of the classes that have places, from so far ahead on."""
    page = owner.get(f"/v1/{owner.studio}/bookableSessions", pageSize="200")
    first = (datetime.now(UTC) + ahead).isoformat()
    found = [session for session in page["bookableSessions"] if session["startTime"] > first]
    return [session["classSession"] for session in found if session["availability"] == "OPEN"]


def book(
    running: Product,
    who: list[dict[str, str]],
    what: list[str],
    booked: dict[str, str],
    stop: threading.Event,
    seed: int,
) -> None:
    """Books until it is stopped, each booking under a key of its own; `booked` gets their names and addresses."""
    desk, dice = running.sign_in("front_desk"), random.Random(seed)
    number = 0
    while not stop.is_set():
        number += 1
        client, session = dice.choice(who), dice.choice(what)
        body = {"classSession": session, "client": client["name"]}
        for _ in range(60):
            answer = desk.attempt("POST", f"/v1/{desk.studio}/bookings", body, key=f"chaos-{seed}-{number}")
            if answer is not None and answer.status_code < 500 and answer.status_code not in (401, 429):
                break
            time.sleep(0.5)
        else:
            pytest.fail("no answer for half a minute")
        if answer.status_code == 200:
            booked[answer.json()["name"]] = client["email"]
        time.sleep(0.02)
