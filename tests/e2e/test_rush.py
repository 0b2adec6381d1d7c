"""A thousand ask for one class over HTTP at the same moment: as many winners as places, an honest no for the rest."""

import asyncio
import ssl
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from services.booking import invariants
from services.chassis.clock import SystemClock
from services.chassis.db.database import Database
from tests.integration.booking.test_booking_races import BOOK, WRITE
from tests.support.product import Product, Visitor, eventually

CROWD = 1000
# Each of them asks for few enough to stay below the limit of one credential.
DESKS = 10
# Nothing is encrypted here, but every HTTP client would make a context of its own.
TLS = ssl.create_default_context()
# Of the many who share a call, once.
PAUSE = f"        IF i = cardinality(p_sessions) THEN PERFORM pg_sleep(0.5); END IF;\n{WRITE}"
# The lock of the class: of many, and of one, who locks the client in the same statement.
LOCKS = {
    "AND booked_count < planned_capacity\n                FOR NO KEY UPDATE": "AND booked_count < planned_capacity",
    "FOR NO KEY UPDATE OF s, c": "FOR NO KEY UPDATE OF c",
}
CHECK = "ck_class_sessions_booked_count"


class Studio:
    """A studio of this test's own, with a crowd of clients who have a credit each."""

    def __init__(self, product: Product) -> None:
        self.product, self.owner = product, Visitor(product.url)
        email = f"rush-{uuid4().hex}@visitors.example"
        self.owner.post("/v1/accounts:signUp", {"email": email, "password": "a long enough one", "displayName": "Ruth"})
        self.zone = {"displayName": "Rush", "timeZone": "Europe/Berlin"}
        self.name = self.owner.post("/v1/studios", {**self.zone, "currencyCode": "EUR"})["name"]
        eventually(self._is_owner, what="the owner's role")
        self.keys = [
            self._make("apiKeys", {"displayName": f"Desk {n}", "role": "ROLE_FRONT_DESK"})["secret"]
            for n in range(DESKS)
        ]
        self.clients = self._crowd()

    def plan(self, capacity: int, *, day: int) -> str:
        """The name of a class in so many days that booking knows."""
        location = self._make("locations", self.zone)["name"]
        room = {"displayName": "Room", "location": location, "capacity": capacity}
        session = self._make(
            "classSessions",
            {
                "room": self._make("rooms", room)["name"],
                "classType": self._make("classTypes", {"displayName": "Flow", "durationMinutes": 50})["name"],
                "instructor": self._make("instructors", {"displayName": "Ana"})["name"],
                "localStart": f"{datetime.now(UTC) + timedelta(days=day):%Y-%m-%d}T10:00",
            },
        )
        known = "SELECT FROM class_sessions WHERE id = $1"
        eventually(lambda: self.sql(known, UUID(_id(session["name"]))), what="the class in booking")
        return str(session["name"])

    async def rush(self, session: str, clients: list[str]) -> Counter[str]:
        """What the desks were told that book this class for each of the clients, all at the same moment."""
        # So that the gateway knows the desks: strangers of one address have a limit of their own.
        await asyncio.gather(*(self._look(key, session) for key in self.keys))
        asked = [self._book(self.keys[number % DESKS], session, client) for number, client in enumerate(clients)]
        return Counter(await asyncio.gather(*asked))

    async def violations(self) -> dict[str, int]:
        """Invariants of booking that do not hold."""
        database = Database(self.product.database_url("booking"), SystemClock())
        try:
            async with database.transaction(UUID(_id(self.name))) as tx:
                return {name: count for name, count in (await invariants.violations(tx)).items() if count}
        finally:
            await database.close()

    def booked(self, session: str) -> tuple[int, int]:
        """How many the class says have a place, and how many have one."""
        (row,) = self.sql(
            "SELECT s.booked_count, (SELECT count(*) FROM bookings b"
            " WHERE b.class_session_id = s.id AND b.cancel_time IS NULL) FROM class_sessions s WHERE s.id = $1",
            UUID(_id(session)),
        )
        return int(row[0]), int(row[1])

    def sql(self, statement: str, *args: Any) -> list[Any]:
        return list(self.product.sql("booking", statement, *args))

    async def _look(self, key: str, session: str) -> None:
        async with httpx.AsyncClient(base_url=self.product.url, verify=TLS) as http:
            answer = await http.get(f"/v1/{session}", headers={"authorization": f"Bearer {key}"})
        assert answer.status_code == 200

    async def _book(self, key: str, session: str, client: str) -> str:
        headers = {"authorization": f"Bearer {key}", "idempotency-key": uuid4().hex}
        body = {"classSession": session, "client": client}
        # A pool for each: one pool looks at all of its connections whenever one of them moves.
        async with httpx.AsyncClient(base_url=self.product.url, timeout=60, verify=TLS) as http:
            answer = await http.post(f"/v1/{self.name}/bookings", json=body, headers=headers)
            # A busy machine may not answer a thousand before the deadline: who does not know asks again, as told.
            while answer.status_code == 504:
                answer = await http.post(f"/v1/{self.name}/bookings", json=body, headers=headers)
        if answer.status_code == 200:
            return "BOOKED"
        error = answer.json()["error"]
        return f"{answer.status_code} {error['details'][0]['reason'] if error['details'] else error['status']}"

    def _crowd(self) -> list[str]:
        tenant = UUID(_id(self.name))
        self.sql(
            "WITH crowd AS ("
            " INSERT INTO clients (tenant_id, id, display_name, language, is_self, version)"
            " SELECT $1, gen_random_uuid(), 'Client ' || n, '', false, 1 FROM generate_series(1, $2::int) n"
            " RETURNING id)"
            " INSERT INTO client_packages (tenant_id, id, client_id, display_name, credits_granted, reason, version)"
            " SELECT $1, gen_random_uuid(), id, 'Pack', 5, 'test', 1 FROM crowd",
            tenant,
            CROWD,
        )
        self.sql(
            "INSERT INTO transfers (tenant_id, debit_account, credit_account, amount, cause, create_time)"
            " SELECT $1, '00000000-0000-0000-0000-000000000001', id, 5, 'granted', now()"
            # The trigger that moves the balances works under row level security.
            " FROM client_packages, set_config('app.tenants', format('{%s}', $1::uuid), true) WHERE tenant_id = $1",
            tenant,
        )
        rows = self.sql("SELECT id FROM clients WHERE tenant_id = $1", tenant)
        return [f"{self.name}/clients/{row['id']}" for row in rows]

    def _make(self, collection: str, body: dict[str, Any]) -> Any:
        return self.owner.post(f"/v1/{self.name}/{collection}", body)

    def _is_owner(self) -> bool:
        answer = self.owner.attempt("PATCH", f"/v1/{self.name}", {"displayName": "Rush"}, uuid4().hex)
        return answer is not None and answer.status_code == 200


def _id(name: str) -> str:
    return name.rpartition("/")[2]


@pytest.fixture(scope="module")
def studio(running: Product) -> Studio:
    return Studio(running)


@contextmanager
def unguarded(studio: Studio) -> Iterator[None]:
    """Booking without the lock of the class and without the CHECK behind it, slow enough for two to look at once."""
    replaced = BOOK.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
    slow = replaced.replace(WRITE, PAUSE)
    for lock, none in LOCKS.items():
        assert slow.count(lock) == 1
        slow = slow.replace(lock, none)
    studio.sql(slow)
    studio.sql(f"ALTER TABLE class_sessions DROP CONSTRAINT {CHECK}")
    try:
        yield
    finally:
        studio.sql(replaced)
        # Nobody is left in a class that has more than it holds.
        studio.sql("UPDATE class_sessions SET effective_capacity = greatest(effective_capacity, booked_count)")
        studio.sql(
            f"ALTER TABLE class_sessions ADD CONSTRAINT {CHECK} CHECK (booked_count BETWEEN 0 AND effective_capacity)"
        )


async def test_a_thousand_for_the_last_five_places(studio: Studio) -> None:
    session = studio.plan(capacity=5, day=2)
    assert await studio.rush(session, studio.clients) == {"BOOKED": 5, "400 SESSION_FULL": CROWD - 5}
    assert studio.booked(session) == (5, 5)
    assert await studio.violations() == {}


async def test_without_its_guards_the_last_place_would_be_sold_twice(studio: Studio) -> None:
    """The control: the same door, and behind it a desk that neither locks nor checks."""
    session = studio.plan(capacity=1, day=3)
    with unguarded(studio):
        counted = await studio.rush(session, studio.clients[:50])
        assert counted["BOOKED"] > 1, counted
        assert studio.booked(session)[1] == counted["BOOKED"]
