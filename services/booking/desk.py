"""The desk: where a place is taken. One call of `book_v4` answers all who stand there at the same moment."""

import hashlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import text

from services.booking.models import BookingDetail
from services.booking.refusals import to_error
from services.chassis.db.batches import Batches
from services.chassis.db.database import Database
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id
from services.chassis.rpc.call import Call
from services.chassis.telemetry import current_traceparent

# How often something else may be in the way of one request.
_PATIENCE = 20

_PARAMETERS = 17
_BOOK = f"SELECT code, (booking).* FROM book_v4({', '.join(f'${n}' for n in range(1, _PARAMETERS + 1))})"  # noqa: S608
_BOOK_WITHIN = text(
    f"SELECT code, (booking).* FROM book_v4({', '.join(f':p{n}' for n in range(1, _PARAMETERS + 1))})"  # noqa: S608
)


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """A place that somebody asks for.

    Without `client` for the person behind `account`; with both only for a client that the account acts for; with
    `client` alone for anybody. `spot` may be empty: any. `guest` is whom the client brings, empty for the client
    itself. A drop-in takes no credit and is held until it is paid. `override` is the reason of staff to let the rules
    of hours, caps, waitlist and overlap pass.
    """

    tenant: UUID
    principal: str
    method: str
    # Digests of principal and idempotency key, and of the request without its key.
    request_id: UUID
    request_hash: UUID
    class_session: UUID
    client: UUID | None
    account: UUID | None
    spot: str = ""
    guest: str = ""
    drop_in: bool = False
    override: str = ""
    traceparent: str | None = field(default_factory=current_traceparent)

    @classmethod
    def of_call(cls, call: Call, **rest: Any) -> "Wanted":
        """What the current call asks for."""
        return cls(
            tenant=call.tenant,
            principal=call.principal.name,
            method=call.method,
            request_id=_digest(f"{call.principal.name}\0{call.request_id}".encode()),
            request_hash=_digest(call.request_hash),
            **rest,
        )

    def keys(self) -> list[Hashable]:
        """What no two requests of one batch may share: the client, the key, a named spot."""
        person: Hashable = ("account", self.account) if self.client is None else ("client", self.client)
        keys: list[Hashable] = [(self.tenant, person), (self.tenant, "request", self.request_id)]
        if self.spot:
            keys.append((self.class_session, self.spot))
        return keys


class Desk:
    """The queue of one process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._queue = Batches[Wanted, Any](self._book, Wanted.keys)

    async def book(self, wanted: Wanted) -> BookingDetail:
        """Takes a place and a credit; a repeated request answers the booking that it made.

        Raises what `refusals.to_error` makes of a code.
        """
        for _ in range(_PATIENCE):
            row = await self._queue.ask(wanted)
            if row["code"] != "AGAIN":
                break
        return _booking(row, wanted.tenant)

    async def _book(self, batch: Sequence[Wanted]) -> Sequence[Any]:
        # Of one RPC all, so of one method. `sorted` keeps those of one class in the order in which they came.
        order = sorted(range(len(batch)), key=lambda n: batch[n].class_session.bytes)
        rows = await self._database.hot(_BOOK, *_arguments([batch[n] for n in order], self._database.clock.now()))
        answers: list[Any] = [None] * len(batch)
        for n, row in zip(order, rows, strict=True):
            answers[n] = row
        return answers


async def book_within(tx: UnitOfWork, wanted: Wanted) -> BookingDetail:
    """The same inside a transaction that does more. Who books several locks all their sessions first.

    Raises what `refusals.to_error` makes of a code.
    """
    arguments = {f"p{n}": value for n, value in enumerate(_arguments([wanted], tx.now()), start=1)}
    for _ in range(_PATIENCE):
        row = (await tx.session.execute(_BOOK_WITHIN, arguments)).mappings().one()
        if row["code"] != "AGAIN":
            break
    return _booking(row, wanted.tenant)


def _booking(row: Any, tenant: UUID) -> BookingDetail:
    if row["code"] != "BOOKED":
        raise to_error(row["code"], tenant)
    return BookingDetail(**{name: value for name, value in row.items() if name != "code"})


def _arguments(batch: Sequence[Wanted], now: datetime) -> list[Any]:
    """In the order of the function's parameters."""
    return [
        [wanted.tenant for wanted in batch],
        [wanted.principal for wanted in batch],
        batch[0].method,
        [wanted.request_id for wanted in batch],
        [wanted.request_hash for wanted in batch],
        [new_id() for _ in batch],
        [wanted.class_session for wanted in batch],
        [wanted.client for wanted in batch],
        [wanted.account for wanted in batch],
        [wanted.spot for wanted in batch],
        [wanted.guest for wanted in batch],
        [wanted.drop_in for wanted in batch],
        [wanted.override for wanted in batch],
        now,
        [new_id() for _ in batch],
        [new_id() for _ in batch],
        [wanted.traceparent for wanted in batch],
    ]


def _digest(data: bytes) -> UUID:
    return UUID(bytes=hashlib.sha256(data).digest()[:16])
