"""Bookings under fire: processes die by kill -9, the broker forgets everything, and each booking still has one mail.

Slow; `make chaos` runs it. The seed is printed, and CHAOS_SEED repeats a run.
"""

import os
import random
import signal
import threading
import time
from pathlib import Path
from uuid import UUID

import pytest
import redis

from embedded.processes import temporary_var
from services.notify.providers.keys import key_of
from tests.support.product import Product, Visitor, eventually, product

CONFIRMATIONS = "SELECT tenant_id, id, subject_id FROM deliveries WHERE kind = 'booking_confirmation'"
KILLS = int(os.environ.get("CHAOS_KILLS", "12"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
# What may die: each comes back by the supervisor, and nobody else helps.
VICTIMS = r"services\.(booking|notify|scheduling) work|services\.(booking|notify) serve"


def test_nothing_is_lost_and_nothing_doubled() -> None:
    print(f"CHAOS_SEED={SEED}")
    dice = random.Random(SEED)
    with temporary_var() as var, product(Path(var)) as running:
        owner = running.sign_in("owner")
        clients = _clients(owner)
        sessions = _sessions(owner)
        booked: dict[str, str] = {}
        stop = threading.Event()
        load = threading.Thread(target=_book, args=(running, clients, sessions, booked, stop, random.Random(SEED)))
        load.start()
        for kill in range(KILLS):
            time.sleep(dice.uniform(1, 3))
            if kill % 4 == 3:
                _wipe(running)
            elif victims := running.children(VICTIMS):
                os.kill(dice.choice(victims), signal.SIGKILL)
        stop.set()
        load.join()
        assert len(booked) >= KILLS, "the load did not get through"
        _check(running, booked)


def _clients(owner: Visitor) -> list[dict[str, str]]:
    page = owner.get(f"/v1/{owner.studio}/clients", pageSize="200")
    return [client for client in page["clients"] if client["creditsLeft"] and client["email"]]


def _sessions(owner: Visitor) -> list[str]:
    page = owner.get(f"/v1/{owner.studio}/bookableSessions", pageSize="200")
    return [s["classSession"] for s in page["bookableSessions"] if s["availability"] == "OPEN"]


def _book(
    running: Product,
    clients: list[dict[str, str]],
    sessions: list[str],
    booked: dict[str, str],
    stop: threading.Event,
    dice: random.Random,
) -> None:
    """Books as front desk would, and repeats with the same key until there is an answer."""
    desk = running.sign_in("front_desk")
    number = 0
    while not stop.is_set():
        number += 1
        client, session = dice.choice(clients), dice.choice(sessions)
        body = {"classSession": session, "client": client["name"]}
        for _ in range(60):
            answer = desk.attempt("POST", f"/v1/{desk.studio}/bookings", body, key=f"chaos-{SEED}-{number}")
            if answer is not None and answer.status_code < 500 and answer.status_code not in (401, 429):
                break
            time.sleep(0.5)
        else:
            pytest.fail("no answer for half a minute")
        if answer.status_code == 200:
            booked[answer.json()["name"]] = client["email"]
        time.sleep(0.02)


def _wipe(running: Product) -> None:
    """The broker forgets every message, queue and binding."""
    secret = (running.var / "broker" / "password").read_text().strip()
    redis.Redis(port=running.facts["ports"]["broker"], password=secret).flushall()


def _check(running: Product, booked: dict[str, str]) -> None:
    ids = {UUID(name.rsplit("/", 1)[1]) for name in booked}

    def settled() -> bool:
        sent = running.sql("notify", f"{CONFIRMATIONS} AND state IN ('accepted', 'delivered')")
        return ids <= {row[2] for row in sent}

    # The feed heals a wiped broker within a minute and its grace.
    eventually(settled, within=200, what="every booking has been confirmed by mail")
    mails = [mail for email in set(booked.values()) for mail in running.mails(email)]
    keys = [mail["idempotency_key"] for mail in mails]
    deliveries = running.sql("notify", f"{CONFIRMATIONS} AND subject_id = ANY($1)", list(ids))
    assert len(deliveries) == len(ids)
    assert all(keys.count(key_of(*row[:2])) == 1 for row in deliveries)
    miscounted = running.sql(
        "booking",
        "SELECT s.id FROM class_sessions s LEFT JOIN bookings b ON b.class_session_id = s.id AND b.state = 'CONFIRMED'"
        " GROUP BY s.tenant_id, s.id HAVING s.booked_count <> count(b.id)",
    )
    assert miscounted == []
