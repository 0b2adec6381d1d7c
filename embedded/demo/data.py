"""What the demo consists of: two studios with their rooms, people and weeks. The same at every load, up to the date."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

DOMAIN = "demo.powerhouse.example"
SEED = 20261122
DAYS = 28


@dataclass(frozen=True)
class Room:
    """A room; with `has_spots` each place is a named reformer."""

    display_name: str
    capacity: int
    has_spots: bool = False

    @property
    def spots(self) -> list[str]:
        return [f"Reformer {number}" for number in range(1, self.capacity + 1)] if self.has_spots else []


@dataclass(frozen=True)
class Slot:
    """A class that takes place on some days of each week (Monday is 0). Indices point into the studio's lists."""

    days: Sequence[int]
    start: time
    room: int
    class_type: int


@dataclass(frozen=True)
class Schedule:
    """A class that recurs from the second week on. Indices point into the studio's lists."""

    display_name: str
    rrule: str
    local_time: str
    room: int
    class_type: int
    instructor: int


@dataclass(frozen=True)
class Offer:
    """A class pack that is for sale, or without credits a gift card."""

    display_name: str
    price_minor: int
    credits: int
    valid_days: int
    intro_offer: bool = False


@dataclass(frozen=True)
class MembershipPlan:
    """So many classes each month, or without credits as many as one likes."""

    display_name: str
    price_minor: int
    credits: int


@dataclass(frozen=True)
class Studio:
    """One brand with one location."""

    display_name: str
    time_zone: str
    currency_code: str
    location: str
    address: str
    # What its texts come from: kept free for stories, so nobody's.
    sms_number: str
    rooms: Sequence[Room]
    # Name and minutes.
    class_types: Sequence[tuple[str, int]]
    instructors: Sequence[str]
    slots: Sequence[Slot]
    schedules: Sequence[Schedule]
    clients: int
    # How many of them have a class pack and a booking.
    packs: int
    country_code: str
    # Its name, millionths, and whether prices contain it.
    tax: tuple[str, int, bool]
    offers: Sequence[Offer]
    memberships: Sequence[MembershipPlan]
    # Of a place in one class.
    drop_in_minor: int
    # Below its name on receipts.
    tax_number: str
    # Takes so many millionths off.
    promo_code: str
    promo_ppm: int


@dataclass(frozen=True)
class PlannedSession:
    """One class of the timetable, in wall time."""

    local_start: str
    room: int
    class_type: int
    instructor: int


WORKDAYS, SATURDAY = (0, 1, 2, 3, 4), (5,)

BERLIN = Studio(
    display_name="Kiez Pilates Berlin",
    time_zone="Europe/Berlin",
    currency_code="EUR",
    location="Kreuzberg",
    address="Oranienstraße 12, 10999 Berlin",
    sms_number="+491729925904",
    rooms=(Room("Reformer Room", 8, has_spots=True), Room("Mat Room", 14)),
    class_types=(("Reformer Flow", 50), ("Mat Foundations", 55), ("Reformer Strong", 50)),
    instructors=("Jana Vogt", "Milan Petrov", "Leyla Aydın", "Tom Becker"),
    slots=(
        Slot(WORKDAYS, time(7, 30), 0, 0),
        Slot(WORKDAYS, time(9), 1, 1),
        Slot(WORKDAYS, time(17, 30), 0, 2),
        Slot(WORKDAYS, time(18), 1, 1),
        Slot(SATURDAY, time(10), 0, 0),
        Slot(SATURDAY, time(10, 30), 1, 1),
    ),
    schedules=(
        Schedule("Sunday Reset", "FREQ=WEEKLY;BYDAY=SU", "10:00", 1, 1, 2),
        Schedule("Lunch Reformer", "FREQ=WEEKLY;BYDAY=TU,TH", "12:30", 0, 0, 0),
        # Runs into the class at 17:30: conflicts for the owner to look at.
        Schedule("Friday Wind-down", "FREQ=WEEKLY;BYDAY=FR", "17:00", 0, 0, 1),
    ),
    clients=180,
    packs=60,
    country_code="DE",
    tax=("USt. 19 %", 190_000, True),
    offers=(
        Offer("First visit: 3 classes", 3900, 3, 30, intro_offer=True),
        Offer("5 classes", 9000, 5, 90),
        Offer("10 classes", 16_500, 10, 180),
        Offer("25 classes", 37_500, 25, 365),
        Offer("Gift card €50", 5000, 0, 1095),
    ),
    memberships=(MembershipPlan("10 a month", 13_900, 10), MembershipPlan("Unlimited", 18_900, 0)),
    drop_in_minor=2200,
    tax_number="USt-IdNr. DE000000000",
    promo_code="KIEZ10",
    promo_ppm=100_000,
)
NEW_YORK = Studio(
    display_name="Hudson Pilates New York",
    time_zone="America/New_York",
    currency_code="USD",
    location="Chelsea",
    address="220 W 23rd St, New York, NY 10011",
    sms_number="+12125550100",
    rooms=(Room("Reformer Loft", 10, has_spots=True), Room("Mat Studio", 16)),
    class_types=(("Reformer Flow", 50), ("Mat Burn", 45)),
    instructors=("Grace Kim", "Daniel Ortiz", "Amara Cole", "Noah Stein"),
    slots=(
        Slot(WORKDAYS, time(6, 45), 0, 0),
        Slot(WORKDAYS, time(12), 1, 1),
        Slot(WORKDAYS, time(18, 15), 0, 0),
        Slot(SATURDAY, time(9), 0, 0),
    ),
    schedules=(
        Schedule("Sunday Reset", "FREQ=WEEKLY;BYDAY=SU", "09:30", 0, 0, 1),
        Schedule("Every Other Monday", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", "15:00", 1, 1, 3),
    ),
    clients=120,
    packs=40,
    country_code="US",
    tax=("Sales tax 4.5 %", 45_000, False),
    offers=(
        Offer("First visit: 3 classes", 5900, 3, 30, intro_offer=True),
        Offer("5 classes", 15_000, 5, 90),
        Offer("20 classes", 52_000, 20, 365),
        Offer("Gift card $100", 10_000, 0, 1095),
    ),
    memberships=(MembershipPlan("8 a month", 21_900, 8), MembershipPlan("Unlimited", 32_900, 0)),
    drop_in_minor=3500,
    tax_number="EIN 00-0000000",
    promo_code="HUDSON",
    promo_ppm=150_000,
)

FIRST_NAMES = """
Ada Aisha Anna Bruno Carla Chen Clara David Elif Emma Felix Finn Greta Hana Hugo Ida Ines Iris Jonas Julia Kemal Lena
Liam Lina Luca Maja Marek Maria Mia Mira Nadia Nico Nora Olga Omar Paula Pia Priya Rosa Sam Sara Sofia Theo Yuki Zoe
"""
LAST_NAMES = """
Adler Arslan Bauer Berg Brandt Brown Chen Costa Diaz Ebert Fischer Fuchs Garcia Green Haas Hartmann Hoffmann Ivanov
Jansen Jones Kaya Keller Klein Koch Krause Lang Lee Lopez Maier Martin Meyer Miller Moreau Müller Nguyen Novak Okafor
Park Patel Peters Reed Richter Rossi Roth Sato Schmidt Schulz Silva Smith Sommer Vogel Wagner Walker Weber Wolf Young
"""


def planned_sessions(studio: Studio, first_day: date) -> Iterator[PlannedSession]:
    """The timetable of DAYS days, the same on each date whatever day it begins.

    Classes of one day are taught by different people, so nothing overlaps.
    """
    for ahead in range(DAYS):
        on = first_day + timedelta(days=ahead)
        for position, slot in enumerate(slot for slot in studio.slots if on.weekday() in slot.days):
            yield PlannedSession(
                local_start=datetime.combine(on, slot.start).isoformat(timespec="minutes"),
                room=slot.room,
                class_type=slot.class_type,
                instructor=(on.toordinal() + position) % len(studio.instructors),
            )


def clients(studio: Studio) -> list[tuple[str, str]]:
    """Name and address of each client. One in ten has none: children, and people who prefer the telephone."""
    chance = random.Random(f"{SEED} {studio.display_name}")  # noqa: S311 - the same people each time
    first_names, last_names = FIRST_NAMES.split(), LAST_NAMES.split()
    people = []
    for number in range(studio.clients):
        first, last = chance.choice(first_names), chance.choice(last_names)
        local = f"{first}.{last}.{number}".lower().replace("ü", "ue")
        people.append((f"{first} {last}", "" if number % 10 == 9 else f"{local}@{DOMAIN}"))
    return people
