"""How often one address may try. Counted in the database, so that any number of replicas count together; real time."""

import hashlib
import hmac
import ipaddress
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import unquote
from uuid import UUID

from sqlalchemy import delete, insert, or_, select, text

from services.chassis.clock import real_now
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import ResourceExhausted
from services.chassis.ids import new_id
from services.identity.models import Attempt

WINDOW = timedelta(minutes=15)
FAILURES_PER_ACCOUNT = 5
# Generous: a whole studio may sit behind one address.
FAILURES_PER_CLIENT = 100
RETENTION = timedelta(days=30)


@dataclass(frozen=True)
class Subject:
    """What attempts are counted against, and how many of them it may make within WINDOW."""

    key: bytes
    limit: int


class Throttle:
    """Whom attempts are counted against. Addresses become keyed hashes: the table tells nobody who tried."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"throttle " + secret.encode()).digest()

    def account(self, action: str, email: str) -> Subject:
        """An e-mail address, whether or not an account has it."""
        return Subject(self._hash(f"{action}:{email}"), FAILURES_PER_ACCOUNT)

    def client(self, address: str) -> Subject:
        """The network address of a caller."""
        return Subject(self._hash(f"client:{network(address)}"), FAILURES_PER_CLIENT)

    def _hash(self, subject: str) -> bytes:
        return hmac.new(self._key, subject.encode(), hashlib.sha256).digest()


async def begin(tx: UnitOfWork, *subjects: Subject) -> UUID:
    """Counts an attempt against each subject and returns its id. Commit before trying.

    It counts as a failure until `succeed` takes it back, so that parallel attempts cannot all slip through.
    Raises ResourceExhausted (TOO_MANY_ATTEMPTS) with the time to wait; a refused attempt counts for nothing.
    """
    for key in sorted(_lock_key(subject) for subject in subjects):
        await tx.session.execute(_LOCK, {"key": key})
    now = real_now()
    attempt = new_id()
    for subject in subjects:
        oldest_that_counts = await tx.session.scalar(
            select(Attempt.create_time)
            .where(Attempt.subject == subject.key, Attempt.create_time > now - WINDOW)
            .order_by(Attempt.create_time.desc())
            .offset(subject.limit - 1)
            .limit(1)
        )
        if oldest_that_counts:
            raise ResourceExhausted(
                "too many attempts; wait a while",
                reason="TOO_MANY_ATTEMPTS",
                retry_after=(oldest_that_counts + WINDOW - now).total_seconds(),
            )
    await tx.session.execute(
        insert(Attempt), [{"id": attempt, "subject": subject.key, "create_time": now} for subject in subjects]
    )
    return attempt


async def succeed(tx: UnitOfWork, attempt: UUID, *forgiven: Subject) -> None:
    """Takes the attempt back, and all earlier ones against the `forgiven` subjects."""
    await tx.session.execute(
        delete(Attempt).where(or_(Attempt.id == attempt, Attempt.subject.in_([subject.key for subject in forgiven])))
    )


async def forgive(tx: UnitOfWork, subject: Subject) -> None:
    """Forgets all attempts against a subject."""
    await tx.session.execute(delete(Attempt).where(Attempt.subject == subject.key))


async def purge(tx: UnitOfWork) -> None:
    """Deletes attempts that have long ceased to count."""
    await tx.session.execute(delete(Attempt).where(Attempt.create_time < real_now() - RETENTION))


def network(address: str) -> str:
    """Who one caller is, as far as an address tells: an IPv4 address, or the /64 that one IPv6 customer holds.

    `address` is plain or a gRPC peer (`ipv4:192.0.2.1:5000`, `ipv6:%5B2001:db8::1%5D:5000`).
    """
    if address.startswith(("ipv4:", "ipv6:")):
        address = unquote(address[5:]).rpartition(":")[0].strip("[]")
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(parsed.ipv4_mapped or ipaddress.IPv6Network((parsed, 64), strict=False))
    return str(parsed)


_LOCK = text("SELECT pg_advisory_xact_lock(:key)")


def _lock_key(subject: Subject) -> int:
    return int.from_bytes(subject.key[:8], signed=True)
