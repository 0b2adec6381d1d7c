"""Scheduling in this process, and a studio to plan in."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from edits_house import EditsHouse
from recurring_house import RecurringHouse
from timetable_house import House, open_house

from services.booking.service import SERVICE as BOOKING
from services.scheduling.service import SERVICE
from tests.support.services import Mesh, Running

# A Monday; Berlin is an hour ahead.
MONDAY = datetime(2027, 1, 4, 8, tzinfo=UTC)


@pytest.fixture
async def scheduling(mesh: Mesh) -> AsyncIterator[Running]:
    mesh.clock.instant = MONDAY
    async with mesh.running(SERVICE) as running:
        yield running


@pytest.fixture
async def house(scheduling: Running) -> House:
    """A studio of its own for each test, in Berlin."""
    return await open_house(scheduling)


@pytest.fixture
async def recurring(house: House) -> RecurringHouse:
    """The same studio, for classes that recur."""
    return RecurringHouse(house)


@pytest.fixture
async def edits(house: House) -> EditsHouse:
    """The same studio, for what is decided about them."""
    return EditsHouse(house)


@pytest.fixture
async def booking(mesh: Mesh, scheduling: Running) -> AsyncIterator[Running]:
    async with mesh.running(BOOKING) as running:
        yield running
