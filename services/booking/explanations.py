"""Answers "why was I not promoted?" from what was decided, with wall times and without other people's names."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import select, tuple_

from services.booking import promotions, waits
from services.booking.models import IN_LINE, WaitlistDecision
from services.booking.waits import Wait
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork

# Why a place did not go to an entry. Each can follow "it went past you: ".
HINDRANCES = {
    "ALREADY_BOOKED": "you had a place in the class already",
    "OVERLAPPING_BOOKING": "you were booked in another class at that time",
    "CLIENT_ARCHIVED": "the studio has archived you as a client",
    "PACKAGE_NOT_USABLE": "the package that your credit is from does not pay for this class",
    "OFFERED_ELSEWHERE": "another class at the same time was on offer to you",
    "WAIVER_NOT_SIGNED": "the studio's waiver was not signed for you",
    "TOO_MANY_BOOKINGS": "you had as many classes ahead as the studio allows",
    "TOO_MANY_BOOKINGS_THAT_DAY": "you had as many classes that day as the studio allows",
}
# Why an entry ended.
ENDINGS = {
    "": "",
    **{code: f"you left the line: {words}" for code, words in HINDRANCES.items()},
    "LEFT": "you left the line",
    "DECLINED": "you did not want the place that was offered",
    "OFFER_EXPIRED": "the place that was offered was not taken in time",
    "LINE_CLOSED": "nobody is promoted any more, so the line has closed",
    "WAITLIST_OFF": "the studio has no waitlist any more",
    "PROMOTED_ELSEWHERE": "you got a place in another class at that time",
    "SESSION_CANCELLED": "the class was cancelled",
    "NO_CREDIT": "no package had a credit to set aside for the class",
}


@dataclass(frozen=True)
class Explanation:
    """How an entry stands and what was decided about it, latest first."""

    wait: Wait
    summary: str
    decisions: Sequence[WaitlistDecision]


async def explain(tx: UnitOfWork, page: Page, entry_id: UUID, account: UUID | None) -> Explanation:
    """One page of what was decided. Raises PermissionDenied, NotFound."""
    wait = await waits.get(tx, entry_id, account)
    decision = WaitlistDecision
    query = select(decision).where(decision.tenant_id == tx.tenant, decision.waitlist_entry_id == entry_id)
    if page.after:
        query = query.where(tuple_(decision.create_time, decision.id) < tuple(page.after))
    query = query.order_by(decision.create_time.desc(), decision.id.desc()).limit(page.limit)
    return Explanation(wait, summary(wait, tx.now()), (await tx.session.scalars(query)).all())


def summary(wait: Wait, now: datetime) -> str:
    """How an entry stands, in a few sentences."""
    entry, session = wait.entry, wait.session
    if entry.state == "PROMOTED":
        return "You got a place."
    if entry.state not in IN_LINE:
        return f"You are no longer in line: {ENDINGS[entry.reason]}."
    if entry.offer_expire_time:
        return f"A place is held for you until {_local(entry.offer_expire_time, wait)}, if you accept it."
    quiet, free = promotions.quiet_until(session, now), session.booked_count < session.planned_capacity
    sentences = [f"You are number {wait.position} in line."]
    if entry.passed_over:
        sentences.append(f"The last free place went past you: {HINDRANCES[entry.passed_over]}.")
    if not free:
        sentences.append("No place is free.")
    elif quiet:
        sentences.append(f"A place is free; it is given out when quiet hours end, {_local(quiet, wait)}.")
    sentences.append(f"The line closes {_local(promotions.close_time(session), wait)}.")
    return " ".join(sentences)


def in_words(decision: WaitlistDecision, wait: Wait) -> str:
    """A decision as a sentence."""
    when = f"{_local(decision.create_time, wait)}, when you were number {decision.place_in_line} in line"
    match decision.outcome:
        case "PROMOTED":
            return f"{when}: you got the place."
        case "OFFERED":
            return f"{when}: the place was offered to you."
    return f"{when}: the place went past you, because {HINDRANCES[decision.outcome]}."


def _local(instant: datetime, wait: Wait) -> str:
    return instant.astimezone(ZoneInfo(wait.session.time_zone)).strftime("%Y-%m-%d %H:%M")
