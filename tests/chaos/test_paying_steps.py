"""A process dies by kill -9 at each step of a purchase and of a refund, exactly there; yet all of it comes about once.

At each step somebody is made to wait: at the commit of a transaction, or while the provider is asked. The process dies,
and what waited is rolled back or lost on its way ("lost"), or comes about although nobody hears of it ("kept"). The
supervisor starts the process again, the desk repeats with the same key. `-k` chooses steps, as `-k "sending or lost"`.
"""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest

from embedded.processes import is_alive, temporary_var
from tests.chaos.steps import RETURNING, STEPS, Step
from tests.chaos.till import Till
from tests.mutants.code_copy import COPIED, LINKED
from tests.support.product import ROOT, eventually, product

# A supervisor that waits as short after each death as after the first: here they do not die by themselves.
FORGIVING = ("-c", "import sys; from embedded import children, run; children.STEADY = 0.0; sys.exit(run.main())")
# File, guard, and how it is without.
GUARDS = (
    (
        "services/payments/providers/stripe_calls.py",
        'account, "idempotency_key": key}',
        'account, "idempotency_key": key and str(datetime.now(UTC))}',
    ),
    ("services/payments/refunding.py", "if asked_before:", "if False:"),
    ("services/payments/provider_events.py", '"refund.": _take_over_refund', '"nothing.": _take_over_refund'),
)
SEEN = """
SELECT u.state, (SELECT r.state FROM refunds r WHERE r.tenant_id = u.tenant_id AND r.purchase_id = u.id) AS refund,
    ARRAY(SELECT d.kind FROM receipts d WHERE d.tenant_id = u.tenant_id AND d.purchase_id = u.id ORDER BY d.number)
    AS documents,
    EXISTS (SELECT FROM jobs WHERE state IN ('queued', 'running') AND kind = ANY (ARRAY['apply_provider_event',
        'fulfil_purchase', 'issue_receipt', 'make_refund', 'restore_credits', 'reconcile_merchant'])) AS busy
FROM purchases u WHERE u.tenant_id = $1 AND u.id = $2
"""
BOUGHT = ("FULFILLED", None, ["RECEIPT"], False)
GIVEN_BACK = ("FULFILLED", "SUCCEEDED", ["RECEIPT", "CREDIT_NOTE"], False)
CAME_BACK = ("FULFILLED", "FAILED", ["RECEIPT", "CREDIT_NOTE", "CREDIT_NOTE_REVERSAL"], False)
PACKAGES = """
SELECT p.credits_left, s.purchase_id FROM client_packages p
LEFT JOIN package_sales s ON s.tenant_id = p.tenant_id AND s.client_package_id = p.id
WHERE p.tenant_id = $1 AND p.client_id = $2
"""
FORGET_EVENTS = "UPDATE merchants SET events_until = now() + make_interval(days => $2) WHERE studio_id = $1"


@dataclass
class Shop:
    """The product, what it sells, and who died when."""

    till: Till
    option: str
    deaths: list[tuple[str, str, float]] = field(default_factory=list)


def test_without_its_keys_there_are_two(tmp_path: Path) -> None:
    """As if each call of the provider had a key of its own; of a refund there are two only where besides nobody looks
    for what was sent before, nor listens to what the provider tells of it.
    """
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.pyc*", "node_modules"))
    for name in LINKED:
        (tmp_path / name).symlink_to(ROOT / name)
    for name, guard, without in GUARDS:
        healthy = (tmp_path / name).read_text(encoding="utf-8")
        assert healthy.count(guard) == 1, f"{name} no longer has the line of {guard!r}"
        (tmp_path / name).write_text(healthy.replace(guard, without), encoding="utf-8")
    steps = {str(step): step for step in STEPS}
    with temporary_var() as var, product(Path(var), folder=tmp_path) as running:
        till = Till(running, uuid4().hex)
        shop = Shop(till, till.sell())
        with pytest.raises(AssertionError, match="2 intents"):
            _run(shop, steps["asking-for-the-intent-kept"])
        with pytest.raises(AssertionError, match="2 refunds"):
            _run(shop, steps["sending-kept"])


@pytest.fixture(scope="module")
def shop() -> Iterator[Shop]:
    with temporary_var() as var, product(Path(var), program=FORGIVING) as running:
        till = Till(running, uuid4().hex)
        opened = Shop(till, till.sell())
        yield opened
        for step, who, seconds in opened.deaths:
            print(f"{step:<50} {who:<24} {seconds:6.1f} s")


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_a_process_dies_and_all_of_it_comes_about_once(shop: Shop, step: Step) -> None:
    _run(shop, step)


class Trade:
    """Somebody buys, and gives a third back."""

    def __init__(self, shop: Shop, step: Step) -> None:
        self._till, self._option, self._step = shop.till, shop.option, step
        self.end = CAME_BACK if step.card == RETURNING else GIVEN_BACK
        self.client = self.purchase = self.refund = ""
        self.ends: list[float] = []

    def run(self) -> None:
        """Until all of it has come about."""
        till, key = self._till, str(self._step)
        self.client = till.insist(f"/v1/{till.desk.studio}/clients", {"displayName": "Kim"}, f"{key}-client")["name"]
        self.purchase = till.buy(self.client, self._option, f"{key}-buy")
        till.pay(self.purchase, f"{key}-pay", self._step.card)
        if self._step.found_in:
            till.reconcile()
        self.wait(BOUGHT)
        self.refund = till.give_back(self.purchase, f"{key}-refund")
        self.wait(self.end)

    def seen(self) -> tuple[object, ...] | None:
        """As far as it has come."""
        ids = self._till.studio, _id(self.purchase)
        found = self._till.running.sql("payments", SEEN, *ids)
        return tuple(found[0]) if found else None

    def wait(self, end: tuple[object, ...]) -> None:
        """Until it has come so far, and nothing is to be done just now."""
        eventually(lambda: self.seen() == end, within=90, what=f"{end}")
        self.ends.append(time.monotonic())


def _run(shop: Shop, step: Step) -> None:
    trade, running = Trade(shop, step), shop.till.running
    with ThreadPoolExecutor(1) as desk, step.gate.armed(running, kept=step.kept) as hold:
        if step.found_in:
            _drop_webhooks(shop.till, step.found_in)
        traded: Future[Any] = desk.submit(trade.run)
        # Who fails before that tells why.
        held = eventually(lambda: hold.pid() or (traded.done() and traded.result()), within=60, what="somebody waits")
        victim: int = running.children(step.dies)[0] if step.dies else held
        who = Path(f"/proc/{victim}/cmdline").read_text().replace("\0", " ").partition("-m ")[2].strip()
        os.kill(victim, signal.SIGKILL)
        died_at = time.monotonic()
        eventually(lambda: not is_alive(victim), what="it dies")
        hold.end()
        traded.result()
    if step.found_in:
        shop.till.set_faults({})
    _check(shop.till, trade)
    shop.deaths.append((str(step), who, next(end for end in trade.ends if end > died_at) - died_at))


def _drop_webhooks(till: Till, found_in: str) -> None:
    till.set_faults({"webhook_drop": {"count": -1}})
    # Where the list of events was read to its end, a line of money is the first to tell.
    till.running.sql("payments", FORGET_EVENTS, till.studio, 1 if found_in == "lines" else 0)


def _check(till: Till, trade: Trade) -> None:
    """One charge, one package, one refund, each document once, and the books agree."""
    sql, purchase = till.running.sql, _id(trade.purchase)
    eventually(lambda: not till.deliveries_under_way(), within=60, what="the provider has told all")
    trade.wait(trade.end)
    [payment] = sql("payments", "SELECT id::text, external_id FROM payments WHERE purchase_id = $1", purchase)
    intents, charges, refunds = till.at_provider()
    for made, what in (
        (intents[payment["id"]], "intents"),
        (charges[payment["external_id"]], "charges"),
        (refunds[str(_id(trade.refund))], "refunds"),
    ):
        assert made == 1, f"{made} {what}"
    packages = [tuple(row) for row in sql("booking", PACKAGES, till.studio, _id(trade.client))]
    assert packages == [(9 if trade.end == CAME_BACK else 6, purchase)]
    assert sql("payments", "SELECT kind, outcome FROM jobs WHERE state = 'failed'") == []
    till.wait_until_the_books_agree()


def _id(name: str) -> UUID:
    return UUID(name.rpartition("/")[2])
