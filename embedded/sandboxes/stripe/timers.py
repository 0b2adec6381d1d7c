"""Does what is due: refunds that change, disputes that open, money that arrives, subscriptions that renew."""

import sqlite3
from collections.abc import Callable

from embedded.sandboxes.stripe.api import TIMERS
from embedded.sandboxes.stripe.merchant import Merchant
from embedded.sandboxes.stripe.store import Store
from embedded.sandboxes.stripe.wire import Refusal

# The account, the instant and the test clock of a timer give the merchant that does it.
MerchantAt = Callable[[str, int, str | None], Merchant]


def next_due(store: Store, clock: str | None, until: int, account: str | None = None) -> sqlite3.Row | None:
    """What is due first, of the real clock or of a test clock."""
    sql = "SELECT * FROM timers WHERE clock IS ? AND due_at <= ? AND account = coalesce(?, account)"
    return store.row(f"{sql} ORDER BY due_at, number LIMIT 1", clock, until, account)


def fire(store: Store, merchant_at: MerchantAt, row: sqlite3.Row, now: int | None = None) -> bool:
    """Does one thing at the instant when it was due, unless it was taken back; what it was about may be gone."""
    if not store.run("DELETE FROM timers WHERE number = ?", row["number"]):
        return False
    merchant = merchant_at(row["account"], row["due_at"] if now is None else now, row["clock"])
    try:
        TIMERS[row["kind"]](merchant, row["id"])
    except Refusal as refusal:
        if not refusal.kept and refusal.status != 404:
            raise
    return True


def run_due(store: Store, merchant_at: MerchantAt, until: int) -> None:
    """Does all that is due on the real clock, each in its own transaction; what fails is not tried again."""
    while (row := next_due(store, None, until)) is not None:
        try:
            with store.transaction():
                fire(store, merchant_at, row)
        except Exception:
            store.run("DELETE FROM timers WHERE number = ?", row["number"])
            raise
