"""Steps: where somebody is made to wait while somebody trades."""

from dataclasses import dataclass

from tests.chaos.holds import AtCommit, Gate
from tests.chaos.trades import Trade

CREATED, CHANGED = "TG_OP = 'INSERT'", "TG_OP = 'UPDATE'"
SERVE, WORK, GATEWAY = "services.payments serve", "services.payments work", "-m gateway"


@dataclass(frozen=True)
class Step:
    """Where somebody waits, and who dies: who waits there, unless another is named."""

    what: str
    gate: Gate
    trade: type[Trade]
    dies: str = ""
    kept: bool = True

    def __str__(self) -> str:
        return f"{self.what} {'kept' if self.kept else 'lost'}".replace(",", "").replace(" ", "-")


def both(what: str, gate: Gate, trade: type[Trade]) -> list[Step]:
    """It comes about, or does not.

    What is rolled back after a call that was kept is that call's own step once more: of such two it is named once.
    """
    return [Step(what, gate, trade, kept=kept) for kept in (False, True)]


def at(table: str, when: str, service: str = "payments") -> AtCommit:
    """The commit that writes such a row."""
    return AtCommit(service, table, when)


def job(kind: str, state: str, more: str = "true") -> AtCommit:
    """The commit by which a job of payments comes into a state."""
    return at("jobs", f"NEW.kind = '{kind}' AND NEW.state = '{state}' AND {more}")
