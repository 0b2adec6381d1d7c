"""Credits against a model: whatever is done, nobody has a credit more or less than plain Python says."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    rule,
    run_state_machine_as_test,
)

from powerhouse.booking.v1 import credit_service_pb2 as pb
from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.client_package_pb2 import ClientPackage
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking.credits import day_end
from services.chassis.ids import new_id
from tests.integration.booking.conftest import MONDAY
from tests.integration.booking.house import House, outcome
from tests.integration.booking.test_credit_changes import adjust, revoke, tick
from tests.integration.booking.test_credit_grants import when
from tests.integration.booking.test_fees import waive
from tests.support.services import Running

BERLIN = ZoneInfo("Europe/Berlin")
DAYS = 2


@dataclass
class Pack:
    made: ClientPackage
    left: int
    end: datetime | None
    starts_on_first_use: bool
    revoked: bool = False

    def over(self, now: datetime) -> bool:
        return self.revoked or (self.end is not None and self.end <= now)


@dataclass
class Session:
    name: str
    start: datetime
    version: int = 1
    cancelled: bool = False


@dataclass
class Place:
    made: Booking
    owner: "Owner"
    session: Session
    pack: Pack
    state: str = "CONFIRMED"
    returned: bool = False
    with_session: bool = False


@dataclass
class Owner:
    made: Client
    packs: list[Pack] = field(default_factory=list)


class CreditMachine(RuleBasedStateMachine):
    """Each example is a studio with two clients and three classes; `running` and `loop` serve them all."""

    running: ClassVar[Running]
    loop: ClassVar[asyncio.AbstractEventLoop]

    packs = Bundle("packs")
    places = Bundle("places")
    owner = st.integers(0, 1)
    session = st.integers(0, 2)

    def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(20)

    def expect(self, wanted: str, make: Callable[..., Any], *args: Any) -> Any:
        """A call ends as the model says: `BOOKED`, with its answer, or with that reason."""

        async def ended() -> Any:
            call = make(*args)
            assert await outcome(call) == wanted
            return await call if wanted == "BOOKED" else None

        return self.wait(ended())

    @property
    def now(self) -> datetime:
        return self.house.now

    @initialize()
    def open_studio(self) -> None:
        self.running.mesh.clock.instant = MONDAY
        self.house = House(self.running, new_id(), None)
        self.all_places: list[Place] = []
        self.wait(self.open())

    async def open(self) -> None:
        self.house.staff = self.house.as_role(Role.ROLE_FRONT_DESK)
        self.owners = [Owner(await self.house.add_client(credits=0)) for _ in range(2)]
        starts = [MONDAY + timedelta(hours=hours) for hours in (20, 45, 70)]
        self.sessions = [Session(await self.house.plan(start=start), start) for start in starts]

    # What happens to credits in the model.

    def take(self, place: Place) -> None:
        pack = place.pack
        pack.left -= 1
        place.returned = False
        if pack.starts_on_first_use and pack.end is None:
            pack.end = day_end(place.session.start.astimezone(BERLIN).date() + timedelta(days=DAYS), BERLIN)

    def give_back(self, place: Place) -> None:
        place.returned = True
        place.pack.left += 1
        used = any(other.pack is place.pack and not other.returned for other in self.all_places)
        if place.pack.starts_on_first_use and not used:
            place.pack.end = None

    def best(self, owner: Owner, session: Session) -> Pack | None:
        usable = [
            pack
            for pack in owner.packs
            if pack.left and not pack.revoked and (pack.end is None or pack.end > session.start)
        ]
        far = datetime.max.replace(tzinfo=UTC)
        return min(usable, key=lambda pack: (pack.end or far, owner.packs.index(pack)), default=None)

    # What people do.

    @rule(target=packs, owner=owner, credits=st.integers(1, 3), validity=st.sampled_from(("ever", "days", "use")))
    def grant(self, owner: int, credits: int, validity: str) -> Pack:
        to, days = self.owners[owner], 0 if validity == "ever" else DAYS
        made = self.wait(self.house.grant(to.made, credits, days, starts_on_first_use=validity == "use"))
        end = day_end(self.now.astimezone(BERLIN).date() + timedelta(days=DAYS), BERLIN) if validity == "days" else None
        pack = Pack(made, credits, end, validity == "use")
        to.packs.append(pack)
        return pack

    @rule(target=places, owner=owner, session=session)
    def book(self, owner: int, session: int) -> Any:
        by, of = self.owners[owner], self.sessions[session]
        pack = self.best(by, of)
        held = [place for place in self.all_places if place.owner is by and place.session is of]
        wanted = (
            "ALREADY_BOOKED"
            if any(place.state == "CONFIRMED" for place in held)
            else "SESSION_CANCELLED"
            if of.cancelled
            else "SESSION_STARTED"
            if self.now >= of.start
            else "BOOKED"
            if pack
            else "NO_CREDIT"
        )
        made = self.expect(wanted, self.house.book, of.name, by.made)
        if made is None or pack is None:
            return multiple()
        assert made.client_package == pack.made.name
        place = Place(made, by, of, pack)
        self.all_places.append(place)
        self.take(place)
        return place

    @rule(place=places)
    def cancel(self, place: Place) -> None:
        if place.state != "CONFIRMED":
            self.expect("BOOKING_NOT_ACTIVE", self.house.cancel, place.made)
        elif self.now >= place.session.start:
            self.expect("SESSION_STARTED", self.house.cancel, place.made)
        else:
            self.expect("BOOKED", self.house.cancel, place.made)
            if self.now <= place.session.start - timedelta(hours=12):
                place.state = "CANCELLED_EARLY"
                self.give_back(place)
            else:
                place.state = "CANCELLED_LATE"

    @rule(place=places)
    def waive(self, place: Place) -> None:
        if place.state == "CANCELLED_LATE" and not place.returned:
            self.expect("BOOKED", waive, self.house, place.made)
            self.give_back(place)
        else:
            self.expect("NOTHING_TO_WAIVE", waive, self.house, place.made)

    @rule(pack=packs, delta=st.sampled_from((-2, -1, 1)))
    def adjust(self, pack: Pack, delta: int) -> None:
        wanted = (
            "PACKAGE_REVOKED"
            if pack.revoked
            else "PACKAGE_EXPIRED"
            if pack.over(self.now)
            else "NOT_ENOUGH_CREDITS"
            if pack.left + delta < 0
            else "BOOKED"
        )
        self.expect(wanted, adjust, self.house, pack.made, delta)
        pack.left += delta if wanted == "BOOKED" else 0

    @rule(pack=consumes(packs))
    def revoke(self, pack: Pack) -> None:
        self.expect("BOOKED", revoke, self.house, pack.made)
        pack.revoked, pack.left = True, 0

    @rule(session=session)
    def cancel_or_restore_the_class(self, session: int) -> None:
        of = self.sessions[session]
        of.version, of.cancelled = of.version + 1, not of.cancelled
        self.wait(self.house.change(of.name, of.version, cancelled=of.cancelled, start=of.start))
        for place in (place for place in self.all_places if place.session is of):
            if of.cancelled and place.state == "CONFIRMED":
                place.state, place.with_session = "CANCELLED_EARLY", True
                self.give_back(place)
            elif not of.cancelled and place.with_session:
                place.with_session = False
                if place.pack.left and not place.pack.revoked:
                    place.state = "CONFIRMED"
                    self.take(place)

    @rule(hours=st.integers(1, 30))
    def wait_a_while(self, hours: int) -> None:
        self.house.move(hours=hours)

    @rule()
    def tick(self) -> None:
        self.wait(tick(self.house))
        for pack in (pack for owner in self.owners for pack in owner.packs if pack.over(self.now)):
            pack.left = 0

    # What must hold after each of it.

    @invariant()
    def nothing_is_violated(self) -> None:
        assert self.wait(self.house.violations()) == {}

    @invariant()
    def everybody_has_what_the_model_says(self) -> None:
        self.wait(self.compare())

    async def compare(self) -> None:
        listed = await self.house.staff.ListClientPackages(
            pb.ListClientPackagesRequest(parent=self.house.name, page_size=200)
        )
        found = {package.name: (package.credits_left, when(package)) for package in listed.client_packages}
        packs = [pack for owner in self.owners for pack in owner.packs]
        assert found == {pack.made.name: (pack.left, pack.end) for pack in packs}
        for owner in self.owners:
            usable = sum(pack.left for pack in owner.packs if not pack.over(self.now))
            assert await self.house.credits(owner.made) == usable
            explained = await self.house.staff.ExplainClientCredits(
                pb.ExplainClientCreditsRequest(name=owner.made.name, page_size=200)
            )
            assert explained.balance == usable == sum(entry.amount for entry in explained.entries)


async def test_credits_against_a_model(booking: Running) -> None:
    CreditMachine.running, CreditMachine.loop = booking, asyncio.get_running_loop()
    bounds = settings(
        max_examples=15,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
    )
    await asyncio.to_thread(run_state_machine_as_test, CreditMachine, settings=bounds)
