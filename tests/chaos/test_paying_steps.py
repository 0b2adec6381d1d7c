"""A process dies by kill -9 at each step of a purchase and of a refund, exactly there; yet all of it comes about once.

At each step somebody is made to wait: at the commit of a transaction, or while the provider is asked. The process dies,
and what waited is rolled back or lost on its way ("lost"), or comes about although nobody hears of it ("kept"). The
supervisor starts the process again, the desk repeats with the same key. `-k` chooses steps, as `-k "sending or lost"`.
"""

import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

import pytest

from embedded.processes import is_alive, temporary_var
from tests.chaos.holds import AtCommit, AtProvider, Gate
from tests.chaos.till import Till
from tests.mutants.code_copy import COPIED, LINKED
from tests.support.product import ROOT, eventually, product

VISA, RETURNING = "pm_card_visa", "pm_card_refundFail"
# A supervisor that waits as short after each death as after the first: here they do not die by themselves.
FORGIVING = ("-c", "import sys; from embedded import children, run; children.STEADY = 0.0; sys.exit(run.main())")
PAYMENTS_WORK = "services.payments work"
KINDS = ["apply_provider_event", "fulfil_purchase", "issue_receipt", "make_refund", "restore_credits", "reconcile_merchant"]
SEEN = """
SELECT u.state, (SELECT r.state FROM refunds r WHERE r.tenant_id = u.tenant_id AND r.purchase_id = u.id) AS refund,
    ARRAY(SELECT d.kind FROM receipts d WHERE d.tenant_id = u.tenant_id AND d.purchase_id = u.id ORDER BY d.number)
    AS documents, EXISTS (SELECT FROM jobs WHERE state IN ('queued', 'running') AND kind = ANY ($3)) AS busy
FROM purchases u WHERE u.tenant_id = $1 AND u.id = $2
"""
BOUGHT = ("FULFILLED", None, ["RECEIPT"], False)
GIVEN_BACK = ("FULFILLED", "SUCCEEDED", ["RECEIPT", "CREDIT_NOTE"], False)
CAME_BACK = ("FULFILLED", "FAILED", ["RECEIPT", "CREDIT_NOTE", "CREDIT_NOTE_REVERSAL"], False)


@dataclass(frozen=True)
class Step:
    """Where somebody waits, and who dies: who waits there, unless another is named."""

    what: str
    gate: Gate
    dies: str = ""
    kept: bool = True
    card: str = VISA
    # No webhook arrives: the reconciler finds what happened, in the list of events or in that of what moved money.
    found_in: str = ""

    def __str__(self) -> str:
        return f"{self.what}, {'kept' if self.kept else 'lost'}".replace(" ", "-")


def _both(what: str, gate: Gate, **more: str) -> list[Step]:
    return [Step(what, gate, kept=kept, **more) for kept in (False, True)]


def _at(table: str, when: str, service: str = "payments") -> AtCommit:
    return AtCommit(service, table, when)


def _job(kind: str, state: str, more: str = "true") -> AtCommit:
    return _at("jobs", f"NEW.kind = '{kind}' AND NEW.state = '{state}' AND {more}")


_CREATED, _CHANGED = "TG_OP = 'INSERT'", "TG_OP = 'UPDATE'"
_PAID = "NEW.type = 'payment_intent.succeeded'"
_TELLS_OF_IT = (
    "EXISTS (SELECT FROM provider_events e WHERE e.external_account = NEW.args->>'account'"
    f" AND e.external_id = NEW.args->>'event' AND {_PAID.replace('NEW', 'e')})"
)
_SUCCEEDED = _at("payments", f"{_CHANGED} AND NEW.state = 'SUCCEEDED' AND OLD.state = 'OPEN'")
_STORED = _at("provider_events", f"{_CREATED} AND {_PAID}")
_GRANTED = _at("package_sales", _CREATED, "booking")
_FROZEN = _at("credit_freezes", _CREATED, "booking")
_RESTORED = _at("credit_freezes", f"{_CHANGED} AND NEW.unfreeze_time IS NOT NULL", "booking")

PURCHASE = [
    *_both("making the purchase", _at("purchases", _CREATED)),
    *_both("starting the payment", _at("payments", _CREATED)),
    *_both("asking for the intent", AtProvider("/v1/payment_intents$", "services.payments serve")),
    *_both("noting the intent", _at("payments", f"{_CHANGED} AND OLD.external_id IS NULL AND NEW.state = 'OPEN'")),
    *_both("storing the webhook", _STORED),
    Step("storing the webhook, the gateway", _STORED, "-m gateway"),
    *_both("taking up the webhook", _job("apply_provider_event", "running", _TELLS_OF_IT)),
    *_both("posting the payment", _SUCCEEDED),
    *_both("settling the webhook", _job("apply_provider_event", "done", _TELLS_OF_IT)),
    *_both("taking up the grant", _job("fulfil_purchase", "running")),
    *_both("granting", _GRANTED),
    Step("granting, the caller", _GRANTED, PAYMENTS_WORK),
    *_both("noting the grant", _at("purchases", f"{_CHANGED} AND NEW.state = 'FULFILLED' AND OLD.state = 'PAID'")),
    *_both("writing the receipt", _at("receipts", f"{_CREATED} AND NEW.kind = 'RECEIPT'")),
]
REFUND = [
    *_both("making the refund", _at("refunds", _CREATED)),
    *_both("taking up the refund", _job("make_refund", "running")),
    *_both("freezing", _FROZEN),
    Step("freezing, the caller", _FROZEN, PAYMENTS_WORK),
    *_both("noting the freeze", _at("refunds", f"{_CHANGED} AND NEW.state = 'FROZEN' AND OLD.state = 'REQUESTED'")),
    *_both("about to send", _at("refunds", f"{_CHANGED} AND NEW.send_time IS NOT NULL AND OLD.send_time IS NULL")),
    *_both("sending", AtProvider("/v1/refunds$", PAYMENTS_WORK)),
    *_both("posting the refund", _at("refunds", f"{_CHANGED} AND NEW.state = 'SUCCEEDED' AND OLD.state = 'FROZEN'")),
    *_both("storing the webhook of the refund", _at("provider_events", f"{_CREATED} AND NEW.type = 'refund.created'")),
    *_both("writing the credit note", _at("receipts", f"{_CREATED} AND NEW.kind = 'CREDIT_NOTE'")),
]
FAILURE = [
    *_both("failing", _at("refunds", f"{_CHANGED} AND NEW.state = 'FAILED'"), card=RETURNING),
    *_both("restoring", _RESTORED, card=RETURNING),
    Step("restoring, the caller", _RESTORED, PAYMENTS_WORK, card=RETURNING),
    *_both("writing the reversal", _at("receipts", "NEW.kind = 'CREDIT_NOTE_REVERSAL'"), card=RETURNING),
]
RECONCILER = [
    *_both("storing what was listed", _at("provider_events", f"{_CREATED} AND {_PAID}"), found_in="events"),
    *_both("storing the lines", _at("balance_transactions", "NEW.category = 'charge'"), found_in="events"),
    *_both("repairing", _SUCCEEDED, found_in="lines"),
    *_both("comparing", _at("reconciliations", "true"), found_in="events"),
]
STEPS = [*PURCHASE, *REFUND, *FAILURE, *RECONCILER]


@dataclass
class Shop:
    """The product, what it sells, and who died when."""

    till: Till
    option: str
    deaths: list[tuple[str, str, float]] = field(default_factory=list)


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


def test_without_stored_key_and_look_there_are_two_refunds(tmp_path: Path) -> None:
    """As if each call had a key of its own, and what was sent were not looked for."""
    for name in COPIED:
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("*.pyc*", "node_modules"))
    for name in LINKED:
        (tmp_path / name).symlink_to(ROOT / name)
    spoilt = tmp_path / "services/payments/refunding.py"
    healthy = spoilt.read_text(encoding="utf-8")
    for old, new in (("account, str(refund_id), intent", "account, str(real_now()), intent"), ("if asked_before:", "if 0:")):
        assert healthy.count(old) == 1
        healthy = healthy.replace(old, new)
    spoilt.write_text(healthy, encoding="utf-8")
    [step] = [each for each in STEPS if each.what == "sending" and each.kept]
    with temporary_var() as var, product(Path(var), folder=tmp_path) as running:
        till = Till(running, uuid4().hex)
        with pytest.raises(AssertionError, match="2 refunds"):
            _run(Shop(till, till.sell()), step)


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
        found = self._till.running.sql("payments", SEEN, *ids, KINDS)
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
        traded = desk.submit(trade.run)
        held = eventually(lambda: hold.pid() or (traded.done() and traded.result()), within=60, what="somebody waits")
        [victim] = running.children(step.dies) if step.dies else [held]
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
    ahead = 1 if found_in == "lines" else 0
    till.running.sql(
        "payments",
        "UPDATE merchants SET events_until = now() + make_interval(days => $2) WHERE studio_id = $1",
        *(till.studio, ahead),
    )


def _check(till: Till, trade: Trade) -> None:
    """One charge, one package, one refund, each document once, and the books agree."""
    eventually(lambda: not till.deliveries_under_way(), within=60, what="the provider has told all")
    trade.wait(trade.end)
    mine = till.running.sql("payments", "SELECT id, external_id FROM payments WHERE purchase_id = $1", _id(trade.purchase))
    [payment] = mine
    intents, charges, refunds = till.at_provider()
    made = refunds[str(_id(trade.refund))]
    assert made == 1, f"{made} refunds"
    assert (intents[str(payment["id"])], charges[payment["external_id"]]) == (1, 1)
    held = till.running.sql(
        "booking",
        "SELECT p.credits_left, s.purchase_id FROM client_packages p LEFT JOIN package_sales s"
        " ON s.tenant_id = p.tenant_id AND s.client_package_id = p.id WHERE p.tenant_id = $1 AND p.client_id = $2",
        *(till.studio, _id(trade.client)),
    )
    assert [tuple(each) for each in held] == [(9 if trade.end == CAME_BACK else 6, _id(trade.purchase))]
    assert Counter(row["kind"] for row in till.running.sql("payments", "SELECT kind FROM jobs WHERE state = 'failed'")) == {}
    till.wait_until_the_books_agree()


def _id(name: str) -> UUID:
    return UUID(name.rpartition("/")[2])
