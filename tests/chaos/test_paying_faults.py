"""Payments in bad weather: servers and workers die by kill -9 while clients buy and get money back, the provider fails
in each way and a fifth of its webhooks never come; yet a purchase has one charge and one package, and a refund is one.

Slow; `make chaos` runs it. CHAOS_KILLS kills, CHAOS_FAULTS is the share of calls that each fault strikes, and
CHAOS_SEED repeats a run.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

from embedded.processes import temporary_var
from tests.chaos.till import Till
from tests.support.product import Product, eventually, product

KILLS = int(os.environ.get("CHAOS_KILLS", "12"))
SHARE = float(os.environ.get("CHAOS_FAULTS", "0.1"))
SEED = int(os.environ.get("CHAOS_SEED", "0")) or random.SystemRandom().randrange(1, 2**31)
# Front desks that trade at the same time.
LANES = 4
VICTIMS = r"services\.(booking|payments) (work|serve)"
# Calls of ours; those of the browser are left alone.
OURS = "/v1/(payment_intents|refunds)$"
WEATHER: dict[str, dict[str, Any]] = {
    "reject_500": {"share": SHARE, "path": OURS},
    "reject_429": {"share": SHARE, "path": OURS},
    "done_then_500": {"share": SHARE, "path": OURS},
    "done_then_close": {"share": SHARE, "path": OURS},
    "webhook_drop": {"share": 0.2},
    "webhook_duplicate": {"share": 0.2},
    "webhook_reorder": {"share": 0.5, "seconds": 2},
}
HURRY = "UPDATE jobs SET retry_at = NULL WHERE state = 'queued' AND retry_at IS NOT NULL"
OPEN = (
    "SELECT id FROM purchases WHERE tenant_id = $1 AND id = ANY($2) AND state <> 'FULFILLED'"
    " UNION ALL SELECT id FROM refunds WHERE tenant_id = $1 AND state NOT IN ('SUCCEEDED', 'FAILED')"
)


@dataclass
class Traded:
    """What the desks have sold and given back."""

    bought: list[str] = field(default_factory=list)
    refunds: list[str] = field(default_factory=list)


def _trade(till: Till, traded: Traded, stop: threading.Event, lane: int, option: str, clients: list[str]) -> None:
    """Sells one pack after the other, and gives a part of an earlier one back."""
    dice, number, kept = random.Random(SEED + lane), 0, list[str]()
    while not stop.is_set():
        number += 1
        purchase = till.buy(dice.choice(clients), option, f"buy-{lane}-{number}")
        till.pay(purchase, f"pay-{lane}-{number}", "pm_card_visa_chargeDeclined", "pm_card_visa")
        traded.bought.append(purchase)
        kept.append(purchase)
        # It may not have been granted yet.
        if refund := till.give_back(kept[0], f"refund-{lane}-{number}", refused_is_fine=True):
            traded.refunds.append(refund)
            kept.pop(0)


def test_in_bad_weather_there_is_one_charge_one_grant_one_refund() -> None:
    print(f"CHAOS_SEED={SEED}")
    dice = random.Random(SEED)
    with temporary_var() as var, product(Path(var)) as running:
        till, traded = Till(running, str(SEED)), Traded()
        till.set_faults({name: {"count": 10**9, **knob} for name, knob in WEATHER.items()} | {"seed": SEED})
        page = till.desk.get(f"/v1/{till.desk.studio}/clients", pageSize="200")
        stop, option, clients = threading.Event(), till.sell(), [client["name"] for client in page["clients"]]
        loads = [
            threading.Thread(target=_trade, args=(till, traded, stop, lane, option, clients)) for lane in range(LANES)
        ]
        for load in loads:
            load.start()
        for _ in range(KILLS):
            time.sleep(dice.uniform(1, 3))
            if victims := running.children(VICTIMS):
                os.kill(dice.choice(victims), signal.SIGKILL)
        # On a slow machine it was mostly starting again; the bad weather stays.
        eventually(lambda: len(traded.refunds) >= KILLS / 3, within=240, what="the load gets through")
        stop.set()
        for load in loads:
            load.join()
        assert len(traded.bought) >= len(traded.refunds)
        _wait(running, till, traded)
        _check(running, till, traded)


def _wait(running: Product, till: Till, traded: Traded) -> None:
    """Until all that was paid is granted and all that is to go back went, and the books have been compared."""
    ids = [UUID(name.rpartition("/")[2]) for name in traded.bought]

    def settled() -> bool:
        running.sql("payments", HURRY)
        till.reconcile()
        time.sleep(3)
        return not running.sql("payments", OPEN, till.studio, ids)

    eventually(settled, within=240, what="every purchase and refund has come to an end")
    till.set_faults({})
    till.wait_until_the_books_agree()


def _check(running: Product, till: Till, traded: Traded) -> None:
    _, charges, refunds = till.at_provider()
    bought = {name.rpartition("/")[2] for name in traded.bought}
    print(f"{len(bought)} purchases, {len(traded.refunds)} refunds")
    payments = running.sql("payments", "SELECT id, external_id FROM payments WHERE tenant_id = $1", till.studio)
    # Every intent was charged once, and no other was.
    assert charges == Counter(row["external_id"] for row in payments)
    assert refunds == Counter(name.rpartition("/")[2] for name in traded.refunds)
    sales = running.sql("booking", "SELECT purchase_id FROM package_sales WHERE tenant_id = $1", till.studio)
    assert Counter(str(row["purchase_id"]) for row in sales) == Counter(bought)
