"""What moved a client's credits, in words (English)."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID
from zoneinfo import ZoneInfo


@dataclass(frozen=True)
class Entry:
    """One movement of credits, as it is told to who owns them."""

    transfer_id: int
    create_time: datetime
    package_id: UUID
    package: str
    # A cause of the table of transfers.
    cause: str
    # What it added to the balance, and the balance after it.
    amount: int
    balance: int
    # What staff said of it.
    reason: str
    booking_id: UUID | None
    # The class that was booked or waited for, as far as it is known.
    class_session_id: UUID | None
    class_type: str | None
    start_time: datetime | None
    time_zone: str | None


# By cause. `credits` is how many, `session` which class and when, `reason` what staff said, after a colon.
_WORDS = {
    "granted": "Received {package}: {credits}",
    "booked": "Booked {session}: {credits}",
    "cancelled_early": "Came back: {session} was cancelled in time",
    "session_cancelled": "Came back: the studio cancelled {session}",
    "session_restored": "Booked again, since it takes place after all, {session}: {credits}",
    "displaced": "Came back: no place was left in {session}",
    "waived": "Came back: the studio let {session} pass{reason}",
    "held": "Set aside while you wait for {session}: {credits}",
    "released": "Came back: you no longer wait for {session}",
    "promoted": "A place became free: what was set aside pays for {session}",
    "expired": "Expired: {credits} of {package}",
    "revoked": "Taken back by the studio{reason}",
    "adjusted": "Adjusted by the studio{reason}",
    "refunded": "Taken back, since {package} is refunded: {credits}",
    "refund_failed": "Came back: the refund of {package} did not come about",
}


def sentence(entry: Entry) -> str:
    """Says it; the sign is the amount's. KeyError for a cause without words."""
    count = abs(entry.amount)
    return _WORDS[entry.cause].format(
        package=entry.package,
        credits="1 credit" if count == 1 else f"{count} credits",
        session=_session(entry),
        reason=f": {entry.reason}" if entry.reason else "",
    )


def _session(entry: Entry) -> str:
    if entry.start_time is None or entry.time_zone is None:
        return "a class"
    local = entry.start_time.astimezone(ZoneInfo(entry.time_zone))
    return f"{entry.class_type} on {local:%a} {local.day} {local:%b} {local:%H:%M}"
