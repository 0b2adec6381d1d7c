"""Codes by which clients check themselves in: six digits that follow from the class, shown where it takes place."""

import hmac
from datetime import datetime
from uuid import UUID

from sqlalchemy import delete
from sqlalchemy.dialects.postgresql import insert

from services.booking.models import CheckInAttempts
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument, ResourceExhausted

# Of a million codes; then only staff check in.
MOST_ATTEMPTS = 5


class CheckInCodes:
    """Derived from a secret of the service: nothing is stored, and another start is another code."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    def of(self, session_id: UUID, start: datetime) -> str:
        """The code of a class that starts then."""
        said = f"check-in {session_id} {start.timestamp():.0f}".encode()
        return f"{int.from_bytes(hmac.digest(self._secret, said, 'sha256')[:8]) % 1_000_000:06}"

    def check(self, code: str, session_id: UUID, start: datetime) -> None:
        """Raises InvalidArgument/WRONG_CODE."""
        if not hmac.compare_digest(code.encode(), self.of(session_id, start).encode()):
            raise InvalidArgument("code", "is not the code of this class", reason="WRONG_CODE")


async def count_attempt(tx: UnitOfWork, booking_id: UUID) -> None:
    """Takes one of the attempts, in a transaction that commits before the code is looked at: guesses cannot undo it.

    Raises ResourceExhausted/TOO_MANY_CODES when none is left.
    """
    first = insert(CheckInAttempts).values(tenant_id=tx.tenant, booking_id=booking_id, attempts=1)
    counted = first.on_conflict_do_update(
        index_elements=["tenant_id", "booking_id"],
        set_={"attempts": CheckInAttempts.attempts + 1},
        where=CheckInAttempts.attempts < MOST_ATTEMPTS,
    )
    if await tx.session.scalar(counted.returning(CheckInAttempts.attempts)) is None:
        raise ResourceExhausted("too many wrong codes; ask the staff to check you in", reason="TOO_MANY_CODES")


async def forget_attempts(tx: UnitOfWork, booking_id: UUID) -> None:
    """The code was right."""
    attempts = CheckInAttempts
    await tx.session.execute(delete(attempts).where(attempts.tenant_id == tx.tenant, attempts.booking_id == booking_id))
