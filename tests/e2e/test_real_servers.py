"""The same code against servers of one's own: PostgreSQL 15 and RabbitMQ, by two environment variables."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from embedded import postgres
from embedded.processes import Unusable, temporary_var
from tests.support.product import Product, Visitor, eventually, product


@pytest.fixture(scope="module")
def oldest_postgres_url(postgres_url: str) -> Iterator[str]:
    """Debian's PostgreSQL where it is installed, the oldest that is supported; else the embedded one."""
    try:
        programs = postgres._on_this_machine()
    except Unusable:
        yield postgres_url
        return
    with temporary_var() as var, pytest.MonkeyPatch.context() as patch:
        patch.setattr(postgres, "_programs", lambda base: programs)
        with postgres.Postgres(Path(var)).running() as server:
            yield server.url


@pytest.fixture(scope="module")
def real(oldest_postgres_url: str, rabbitmq_url: str) -> Iterator[Product]:
    environment = {"POWERHOUSE_DATABASE_URL": oldest_postgres_url, "POWERHOUSE_BROKER_URL": rabbitmq_url}
    with temporary_var() as var, product(Path(var), environment) as started:
        yield started


@pytest.mark.broker
def test_a_booking_on_rabbitmq(real: Product) -> None:
    assert {"postgres", "broker"} & real.facts["ports"].keys() == set()
    owner, visitor = real.sign_in("owner"), Visitor(real.url)
    email = f"{uuid4().hex}@visitors.example"
    visitor.post("/v1/accounts:signUp", {"email": email, "password": "a long enough one", "displayName": "Rita Rabbit"})
    client = visitor.post(f"/v1/{owner.studio}/clients:join", {"displayName": "Rita Rabbit", "email": email})
    grant = {"client": client["name"], "displayName": "Welcome", "credits": 1, "reason": "first visit"}
    owner.post(f"/v1/{owner.studio}/clientPackages:grant", grant)
    sessions = visitor.get(f"/v1/{owner.studio}/bookableSessions", pageSize="200")["bookableSessions"]
    session = next(s for s in sessions if s["availability"] == "OPEN")
    visitor.post(f"/v1/{owner.studio}/bookings", {"classSession": session["classSession"]})

    def mail() -> list[dict[str, Any]]:
        return real.mails(email)

    assert [found["accepted_count"] for found in eventually(mail, what="the confirmation mail")] == [1]
