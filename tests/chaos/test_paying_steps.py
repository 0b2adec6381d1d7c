"""A process dies by kill -9 at each step of what is bought and given back, exactly there; yet it comes about once.

At each step somebody is made to wait: at the commit of a transaction, or while the provider is asked. The process dies,
and what waited is rolled back or lost on its way ("lost"), or comes about although nobody hears of it ("kept"). The
supervisor starts the process again, the desk repeats with the same key. `-k` chooses steps, as `-k "sending or lost"`.
"""

import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from embedded.processes import temporary_var
from tests.chaos import drop_ins, fees, gift_cards, memberships, packs
from tests.chaos.killing import Deaths
from tests.chaos.steps import Step
from tests.chaos.till import Till
from tests.mutants.code_copy import COPIED, LINKED
from tests.support.product import ROOT, product

STEPS = [*packs.STEPS, *drop_ins.STEPS, *gift_cards.STEPS, *memberships.STEPS, *fees.STEPS]
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
        deaths = Deaths(Till(running, uuid4().hex))
        with pytest.raises(AssertionError, match="2 intents"):
            deaths.at(steps["asking-for-the-intent-kept"])
        with pytest.raises(AssertionError, match="2 refunds"):
            deaths.at(steps["sending-kept"])


@pytest.fixture(scope="module")
def deaths() -> Iterator[Deaths]:
    with temporary_var() as var, product(Path(var), program=FORGIVING) as running:
        deaths = Deaths(Till(running, uuid4().hex))
        yield deaths
        for step, who, seconds in deaths.all:
            print(f"{step:<50} {who:<24} {seconds:6.1f} s")


@pytest.mark.parametrize("step", STEPS, ids=str)
def test_a_process_dies_and_all_of_it_comes_about_once(deaths: Deaths, step: Step) -> None:
    deaths.at(step)
