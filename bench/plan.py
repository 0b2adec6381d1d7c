"""Which bookings a load makes: number n is always the same client in the same session, and no other number is.

The same arithmetic stands in `function.pgbench`, `reference.pgbench` and `book.lua`; data.sql makes the rows.
"""

from dataclasses import dataclass
from uuid import UUID

STUDIOS = 50
# Of each studio.
SESSIONS = 400
CLIENTS = 200
# Numbers that one run of a load may use up.
BLOCK = 80_000
# How many ask for the same class in a rush, and how many places it has; in a studio after the others.
RUSH = 10_000
RUSH_PLACES = 500
RUSH_FIRST = STUDIOS * CLIENTS

# What numbers in ids count from.
FIRST_ID = 100_000_000_000


@dataclass(frozen=True)
class Wanted:
    """One booking to make, as resource names."""

    studio: int
    parent: str
    class_session: str
    client: str


def wanted(number: int) -> Wanted:
    """Neighbours lie in different studios; in each, every session is booked once before any is a second time."""
    turn, studio = divmod(number, STUDIOS)
    session = turn % SESSIONS
    client = (turn // SESSIONS + session) % CLIENTS
    parent = f"studios/{bench_id(1, studio)}"
    return Wanted(
        studio,
        parent,
        f"{parent}/classSessions/{bench_id(2, studio * SESSIONS + session)}",
        f"{parent}/clients/{bench_id(3, studio * CLIENTS + client)}",
    )


def rushed(session: int, client: int) -> tuple[str, str, str]:
    """Studio, class session and client of a request of a rush, as resource names."""
    parent = f"studios/{bench_id(1, STUDIOS)}"
    return (
        parent,
        f"{parent}/classSessions/{bench_id(2, STUDIOS * SESSIONS + session)}",
        f"{parent}/clients/{bench_id(3, RUSH_FIRST + client)}",
    )


def id_of(name: str) -> str:
    """The id at the end of a resource name."""
    return name.rpartition("/")[2]


def number_of(name: str) -> int:
    """The number that the id of a resource name ends with."""
    return int(name[-12:])


def studios() -> list[UUID]:
    """All of them, in the order of their numbers; the one of the rush last."""
    return [UUID(bench_id(1, studio)) for studio in range(STUDIOS + 1)]


def bench_id(kind: int, number: int) -> str:
    """As data.sql's function of that name."""
    return f"00000000-0000-7000-800{kind}-{FIRST_ID + number}"
