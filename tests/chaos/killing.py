"""One process dies by kill -9 at a step of a trade, exactly there; and all of that trade still comes about once."""

import os
import signal
import time
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from embedded.processes import is_alive
from tests.chaos.steps import Step
from tests.chaos.till import Till
from tests.support.product import eventually

_FAILED = "SELECT kind, outcome FROM jobs WHERE state = 'failed'"


@dataclass
class Deaths:
    """A till, and who died when: step, process and the seconds until somebody else had done its work."""

    till: Till
    all: list[tuple[str, str, float]] = field(default_factory=list)

    def at(self, step: Step) -> None:
        """Trades, and kills on the way."""
        trade, running = step.trade(self.till, str(step)), self.till.running
        with ThreadPoolExecutor(1) as desk, step.gate.armed(running, kept=step.kept) as hold:
            traded: Future[Any] = desk.submit(trade.run)

            def waits() -> Any:
                # Who fails before that tells why.
                return hold.pid() or (traded.done() and _nobody(traded))

            victim: int = eventually(waits, within=60, what="somebody waits")
            if step.dies:
                [victim, *_] = running.children(step.dies)
            who = Path(f"/proc/{victim}/cmdline").read_text().replace("\0", " ").partition("-m ")[2].strip()
            os.kill(victim, signal.SIGKILL)
            died_at = time.monotonic()
            eventually(lambda: not is_alive(victim), what="it dies")
            hold.end()
            traded.result()
        eventually(lambda: not self.till.deliveries_under_way(), within=60, what="the provider has told all")
        trade.check_all()
        for service in ("payments", "booking"):
            assert running.sql(service, _FAILED) == []
        self.till.wait_until_the_books_agree()
        self.all.append((str(step), who, next(end for end in trade.ends if end > died_at) - died_at))


def _nobody(traded: Future[Any]) -> None:
    traded.result()
    raise AssertionError("nobody came there")
