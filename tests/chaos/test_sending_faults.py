"""Messages in bad weather: each provider fails in every way it can while processes die by kill -9, and each message is
accepted once, or its delivery says why not.

Slow; `make chaos` runs it. CHAOS_KILLS kills, CHAOS_FAULTS is the share of calls that each fault strikes, and
CHAOS_SEED repeats a run.
"""

import json
import os
import random
import signal
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx

from embedded.processes import temporary_var
from services.notify.providers.keys import key_of
from tests.chaos import front_desk
from tests.support.product import Product, eventually, product

KILLS = int(os.environ.get("CHAOS_KILLS", "12"))
SHARE = float(os.environ.get("CHAOS_FAULTS", "0.1"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
# Relay, dispatcher, worker and sweeper of each live in one process.
VICTIMS = r"services\.(booking|notify) work"
# Longer than notify waits for an answer.
HANG = 12
WEATHER = {
    "slow": {"seconds": 3, "share": SHARE},
    "reject_429": {"seconds": 1, "share": SHARE},
    "reject_500": {"share": SHARE},
    "accept_then_500": {"share": SHARE},
    "accept_then_html": {"share": SHARE},
    "accept_then_hang": {"seconds": HANG, "share": SHARE},
    # What is not told has to be found by looking. Of a provider that can neither be looked through nor asked again
    # nobody would ever know.
    "twilio:lose_webhooks": {"share": 0.5},
}
PHONES = "UPDATE clients SET phone = '+49151' || lpad((hashtext(id::text) & 99999999)::text, 8, '0')"
# One text and one mail of each booking; the text two hours before has the same words.
DUE_NOW = """
UPDATE deliveries SET due_at = now()
WHERE kind = 'reminder' AND offset_minutes = 1440 AND state = 'pending' AND attempts = 0 AND due_at > now()
"""
# Four minutes of looking pass in one.
HURRY = """
UPDATE deliveries SET retry_at = NULL, first_attempt_time = first_attempt_time - interval '60 seconds'
WHERE state = 'unknown' AND lease_token IS NULL
"""
HURRY_EVERY = 15.0
DELIVERIES = "SELECT * FROM deliveries WHERE due_at <= now()"
OPEN = ("pending", "sending", "unknown")


def test_in_bad_weather_each_message_is_accepted_once_or_says_why_not() -> None:
    print(f"CHAOS_SEED={SEED}")
    dice = random.Random(SEED)
    with temporary_var() as var, product(Path(var), {"POWERHOUSE_MAIL_FAILOVER": "sendgrid"}) as running:
        running.sql("booking", PHONES)
        owner = running.sign_in("owner")
        who, what = front_desk.clients(owner), front_desk.sessions(owner, timedelta(days=2))
        _weather(running)
        booked: dict[str, str] = {}
        stop = threading.Event()
        load = threading.Thread(target=front_desk.book, args=(running, who, what, booked, stop, SEED))
        load.start()
        for _ in range(KILLS):
            time.sleep(dice.uniform(1, 3))
            running.sql("notify", DUE_NOW)
            if victims := running.children(VICTIMS):
                os.kill(dice.choice(victims), signal.SIGKILL)
        stop.set()
        load.join()
        assert len(booked) >= KILLS, "the load did not get through"
        _wait(running, {UUID(name.rpartition("/")[2]) for name in booked})
        _check(running)


def _weather(running: Product) -> None:
    faults = {name: {"count": 10**9, **knob} for name, knob in WEATHER.items()}
    httpx.put(f"{_sandbox(running)}/sandbox/faults", json=faults).raise_for_status()


def _sandbox(running: Product) -> str:
    return f"http://127.0.0.1:{running.facts['ports']['sandbox']}"


def _wait(running: Product, bookings: set[UUID]) -> None:
    """Until every booking has its confirmation and both reminders, and all of them have come to an end."""
    hurried = time.monotonic()

    def ended() -> bool:
        nonlocal hurried
        running.sql("notify", DUE_NOW)
        if time.monotonic() - hurried > HURRY_EVERY:
            running.sql("notify", HURRY)
            hurried = time.monotonic()
        time.sleep(1)
        rows = running.sql("notify", DELIVERIES)
        of_each = Counter(row["booking_id"] for row in rows)
        return all(of_each[booking] >= 3 for booking in bookings) and not any(row["state"] in OPEN for row in rows)

    eventually(ended, within=600, what="every delivery has come to an end")


def _check(running: Product) -> None:
    # Word of a message that was taken may come after its delivery was given up.
    with suppress(AssertionError):
        eventually(lambda: not any(_differences(running)), within=60)
    unknown_to_us, unknown_to_them = _differences(running)
    assert not unknown_to_us, "taken by a provider, and the table does not know"
    assert not unknown_to_them, "the table says accepted, and no provider has it"
    rows, taken = _rows(running), _taken(running)
    stories = Counter(line["what"] for row in rows.values() for line in json.loads(row["story"]))
    print(Counter(row["state"] for row in rows.values()), stories, Counter(row["reason"] for row in rows.values()))
    assert not {key: times for key, times in taken.items() if times > 1}
    assert all(row["reason"] for row in rows.values() if row["state"] in ("failed", "skipped"))
    # The weather was as bad as it was meant to be.
    assert stories["unknown"]
    assert stories["found"]
    assert {row["provider"] for row in rows.values()} >= {"resend", "sendgrid", "twilio"}


def _rows(running: Product) -> dict[str, Any]:
    """Every delivery that was due, by the key under which providers know it."""
    return {key_of(row["tenant_id"], row["id"]): row for row in running.sql("notify", DELIVERIES)}


def _taken(running: Product) -> dict[str, int]:
    """How often each key was accepted, by whichever provider, as the sandboxes counted."""
    with closing(sqlite3.connect(f"file:{running.var}/messages/messages.sqlite?mode=ro", uri=True)) as database:
        return dict(database.execute("SELECT key, count(*) FROM messages WHERE key IS NOT NULL GROUP BY key"))


def _differences(running: Product) -> tuple[list[Any], list[Any]]:
    """What was taken and is not accepted in the table, and what is accepted there and was not taken."""
    rows, taken = _rows(running), _taken(running)
    accepted = {key for key, row in rows.items() if row["state"] in ("accepted", "delivered")}
    return (
        [dict(rows[key]) if key in rows else key for key in taken.keys() - accepted],
        [dict(rows[key]) for key in accepted - taken.keys()],
    )
