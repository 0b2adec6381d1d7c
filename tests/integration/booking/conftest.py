"""Booking in this process, and a studio to book in."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from embedded.certificates import Certificates
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking.service import SERVICE
from services.chassis.ids import new_id
from tests.integration.booking.house import BookingStub, House
from tests.support.services import Mesh, Running

# A Monday; Berlin is an hour ahead.
MONDAY = datetime(2027, 1, 4, 8, tzinfo=UTC)


@pytest.fixture(scope="session")
async def booking(postgres_url: str, certificates: Certificates) -> AsyncIterator[Running]:
    """Served once for all tests: each has a studio of its own."""
    async with Mesh(postgres_url, certificates).running(SERVICE) as running:
        yield running


@pytest.fixture
async def house(booking: Running) -> House:
    """A new studio on a Monday morning."""
    booking.mesh.clock.instant = MONDAY
    tenant = new_id()
    return House(booking, tenant, booking.as_account(BookingStub, roles={tenant: [Role.ROLE_FRONT_DESK]}))
