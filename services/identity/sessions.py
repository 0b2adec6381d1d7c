"""Sessions: browsers that are signed in. An opaque token opens one; only its SHA-256 is stored. Real time."""

import hashlib
import secrets
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import delete, or_, select, update

from services.chassis.clock import real_now
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import Unauthenticated
from services.identity.models import Session

IDLE_LIFETIME = timedelta(days=14)
LIFETIME = timedelta(days=30)
# Use is recorded at most this often, so that reading stays reading.
USE_RESOLUTION = timedelta(minutes=1)


async def begin(tx: UnitOfWork, account_id: UUID) -> tuple[str, Session]:
    """A new session and its token."""
    token = secrets.token_urlsafe(32)
    now = real_now()
    session = Session(account_id=account_id, token_hash=_hash(token), create_time=now, last_use_time=now)
    tx.session.add(session)
    await tx.session.flush()
    return token, session


async def use(tx: UnitOfWork, token: str) -> Session:
    """The session that a token opens. Raises Unauthenticated (SESSION_EXPIRED) when it ended or never was."""
    session = await tx.session.scalar(select(Session).where(Session.token_hash == _hash(token)))
    now = real_now()
    if session is None or expire_time(session) <= now:
        raise Unauthenticated("the session has ended; sign in again", reason="SESSION_EXPIRED")
    if session.last_use_time <= now - USE_RESOLUTION:
        # Not through the row object: a session that ends meanwhile is no error here.
        await tx.session.execute(
            update(Session)
            .where(Session.id == session.id)
            .values(last_use_time=now)
            .execution_options(synchronize_session=False)
        )
    return session


def expire_time(session: Session) -> datetime:
    """When it ends if it is not used again."""
    return min(session.last_use_time + IDLE_LIFETIME, session.create_time + LIFETIME)


async def end(tx: UnitOfWork, session_id: UUID | None, account_id: UUID) -> None:
    """Ends one session of an account; ending what has ended is no error."""
    await tx.session.execute(delete(Session).where(Session.id == session_id, Session.account_id == account_id))


async def end_all(tx: UnitOfWork, account_id: UUID) -> None:
    """Ends every session of an account. Tokens that were exchanged for one live on for at most a minute."""
    await tx.session.execute(delete(Session).where(Session.account_id == account_id))


async def purge(tx: UnitOfWork) -> None:
    """Deletes sessions that have ended by themselves."""
    now = real_now()
    await tx.session.execute(
        delete(Session).where(or_(Session.create_time <= now - LIFETIME, Session.last_use_time <= now - IDLE_LIFETIME))
    )


def _hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()
