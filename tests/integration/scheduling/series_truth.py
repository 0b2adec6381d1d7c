"""What must hold of a studio's series whatever was done to them, asked of the database itself."""

from collections import Counter
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import asyncpg
from edits_house import EditsHouse

from services.chassis.db.urls import database_name

BERLIN = ZoneInfo("Europe/Berlin")
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")

_SESSIONS = """
SELECT s.*, c.series_id FROM class_sessions s
LEFT JOIN class_schedules c ON c.tenant_id = s.tenant_id AND c.id = s.schedule_id WHERE s.tenant_id = $1"""
_SCHEDULES = "SELECT * FROM class_schedules WHERE tenant_id = $1 AND archive_time IS NULL"
_SKIPPED = "SELECT schedule_id, original_date FROM skipped_dates WHERE tenant_id = $1"
_WAITING = "SELECT schedule_id, original_date FROM schedule_conflicts WHERE state <> 'RESOLVED' AND tenant_id = $1"
_TOLD = """
SELECT aggregate_id AS id, version FROM outbox
WHERE tenant_id = $1 AND type = 'powerhouse.scheduling.v1.ClassSessionChanged'"""


@dataclass
class Truth:
    """All of it at one moment."""

    now: datetime
    sessions: dict[UUID, Any]
    schedules: dict[UUID, Any]
    skipped: set[tuple[UUID, date]]
    waiting: set[tuple[UUID, date]]
    told: Counter[tuple[UUID, int]]

    def violations(self) -> list[str]:
        """Whatever does not hold by itself; empty when all is well."""
        return [*self._doubles(), *self._overlaps(), *self._strays(), *self._untold()]

    def changes_since(self, before: "Truth", meant: set[UUID], *, may_cancel: bool = False) -> list[str]:
        """Exceptions and cancelled sessions, but for those that were `meant`, which are not as they were before.

        `may_cancel`: a closure cancels exceptions too.
        """
        found = []
        for session_id, old in before.sessions.items():
            new = self.sessions.get(session_id)
            if new is None:
                found.append(f"{session_id} is gone")
            elif session_id in meant or not (old["series_exception"] or old["cancelled"]):
                continue
            elif old["cancelled"] and not new["cancelled"]:
                found.append(f"{session_id} was revived")
            elif old["version"] != new["version"] and not (may_cancel and new["cancelled"]):
                found.append(f"{session_id} is an exception and has changed")
        return found

    def missing(self, weeks: int = 4) -> list[str]:
        """Dates within the horizon that have neither a session nor a decision nor a place in the inbox."""
        dealt = {(each["schedule_id"], each["original_date"]) for each in self.sessions.values()}
        dealt |= self.skipped | self.waiting
        wall = self.now.astimezone(BERLIN).replace(tzinfo=None)
        found = []
        for schedule in self.schedules.values():
            for number in range(7 * weeks + 1):
                day = wall.date() + timedelta(days=number)
                at = datetime.combine(day, schedule["local_time"])
                due = wall < at < wall + timedelta(weeks=weeks) and _has(schedule, day)
                if due and (schedule["id"], day) not in dealt:
                    found.append(f"{schedule['display_name']} has nothing on {day}")
        return found

    def _doubles(self) -> list[str]:
        dates = Counter(
            (each["series_id"], each["original_date"]) for each in self.sessions.values() if each["series_id"]
        )
        found = [f"{number} sessions of one series on {day}" for (_, day), number in dates.items() if number > 1]
        skipped = [
            f"{each['original_date']} was skipped"
            for each in self.sessions.values()
            if (each["schedule_id"], each["original_date"]) in self.skipped
        ]
        return found + skipped

    def _overlaps(self) -> list[str]:
        planned = sorted(
            (each for each in self.sessions.values() if not each["cancelled"]), key=lambda each: each["start_at"]
        )
        return [
            f"{one['id']} and {other['id']} overlap"
            for place, one in enumerate(planned)
            for other in planned[place + 1 :]
            if other["start_at"] < one["end_at"]
            and (one["room_id"] == other["room_id"] or one["instructor_id"] == other["instructor_id"])
        ]

    def _strays(self) -> list[str]:
        """Planned sessions that are no exceptions and yet not what their schedule says."""
        found = []
        for each in self.sessions.values():
            schedule = self.schedules.get(each["schedule_id"])
            if schedule is None or each["series_exception"] or each["cancelled"] or each["start_at"] <= self.now:
                continue
            start = datetime.combine(each["original_date"], schedule["local_time"], BERLIN)
            fields = ("room_id", "instructor_id", "class_type_id", "capacity")
            differs = [field for field in fields if each[field] != schedule[field]]
            if each["start_at"] != start and start > self.now:
                differs.append("start_at")
            if not _has(schedule, each["original_date"]):
                differs.append("original_date")
            if differs:
                found.append(f"{each['id']} of {each['original_date']} has not followed: {differs}")
        return found

    def _untold(self) -> list[str]:
        """Each version of a session is told once; the first one of a generated session with its schedule's others."""
        first = {each["id"]: 2 if each["auto_generated"] else 1 for each in self.sessions.values()}
        wanted = Counter(
            (each["id"], version)
            for each in self.sessions.values()
            for version in range(first[each["id"]], each["version"] + 1)
        )
        return [f"{key} was told {self.told[key]} times" for key in wanted | self.told if wanted[key] != self.told[key]]


async def look(edits: EditsHouse) -> Truth:
    running, tenant = edits.house.running, edits.house.tenant
    connection = await asyncpg.connect(f"{running.mesh.admin_url}/{database_name('scheduling')}")
    try:
        sessions, schedules, skipped, waiting, told = [
            await connection.fetch(query, tenant) for query in (_SESSIONS, _SCHEDULES, _SKIPPED, _WAITING, _TOLD)
        ]
    finally:
        await connection.close()
    return Truth(
        now=running.mesh.clock.now(),
        sessions={row["id"]: row for row in sessions},
        schedules={row["id"]: row for row in schedules},
        skipped={(row[0], row[1]) for row in skipped},
        waiting={(row[0], row[1]) for row in waiting},
        told=Counter((row["id"], row["version"]) for row in told),
    )


def _has(schedule: Any, day: date) -> bool:
    """Whether a weekly schedule has the day: spelled out a second time."""
    days = schedule["rrule"].partition("BYDAY=")[2].split(",")
    last = schedule["end_date"] or date.max
    return schedule["start_date"] <= day <= last and _DAYS[day.weekday()] in days
