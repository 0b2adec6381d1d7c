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

import redis

from embedded.processes import temporary_var
from services.notify.providers.keys import key_of
from tests.chaos import front_desk
from tests.support.product import Product, eventually, product

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
        who, what = front_desk.clients(owner), front_desk.sessions(owner)
        booked: dict[str, str] = {}
        stop = threading.Event()
        load = threading.Thread(target=front_desk.book, args=(running, who, what, booked, stop, SEED))
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
