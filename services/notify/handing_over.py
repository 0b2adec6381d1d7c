"""The two notes about a call of a provider: that it is about to be made, and what came of it.

Many deliveries are handed over at once, and their notes share statements (natural batching). Each note counts only for
who holds the delivery's lease: a worker that was thought dead writes nothing any more.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto
from typing import Any
from uuid import UUID

import asyncpg
import orjson

from services.chassis.db.batches import Batches
from services.chassis.db.database import Database
from services.chassis.jobs.registry import Job
from services.notify.deliveries import step
from services.notify.models import MAX_ATTEMPTS, Channel, Kind, State

_BEGIN = f"""
UPDATE deliveries d SET state = 'sending', attempts = d.attempts + 1, provider = r.provider, words_hash = r.words,
    first_attempt_time = coalesce(d.first_attempt_time, clock_timestamp()),
    story = d.story || r.line::jsonb
FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bytea[], $6::text[])
    AS r (tenant, id, token, provider, words, line)
WHERE d.tenant_id = r.tenant AND d.id = r.id AND d.lease_token = r.token
    AND d.state IN ('pending', 'sending') AND d.attempts < {MAX_ATTEMPTS}
RETURNING d.id
"""  # noqa: S608 - constants only
# The provider's own word may have come before ours: then only the lease is given back.
_END = """
UPDATE deliveries d SET
    state = CASE WHEN d.state = ANY ($3) THEN r.state ELSE d.state END,
    reason = CASE WHEN d.state = ANY ($3) THEN r.reason ELSE d.reason END,
    attempts = d.attempts - CASE WHEN d.state = 'sending' AND r.uncounted THEN 1 ELSE 0 END,
    accept_time = CASE WHEN r.state = 'accepted' THEN coalesce(d.accept_time, $4) ELSE d.accept_time END,
    provider_message_id = CASE WHEN d.provider_message_id = '' THEN r.message_id ELSE d.provider_message_id END,
    words_hash = CASE WHEN r.state IN ('sending', 'unknown') THEN d.words_hash END,
    due_at = coalesce(r.due_at, d.due_at),
    story = d.story || r.line::jsonb,
    retry_at = NULL,
    announced_at = CASE WHEN r.keeps THEN d.announced_at END,
    lease_until = CASE WHEN r.keeps THEN d.lease_until END,
    lease_token = CASE WHEN r.keeps THEN d.lease_token END
FROM unnest(
    $1::uuid[], $2::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::timestamptz[], $10::bool[], $11::bool[],
    $12::text[]
) AS r (tenant, id, token, state, reason, message_id, due_at, uncounted, keeps, line)
WHERE d.tenant_id = r.tenant AND d.id = r.id AND d.lease_token = r.token
RETURNING d.id
"""

_CLAIMED = "SELECT provider_message_id FROM deliveries WHERE provider = $1 AND provider_message_id = ANY ($2::text[])"


@dataclass(frozen=True, kw_only=True)
class Sending(Job):
    """A delivery that a worker has claimed. `attempts` counts runs, `calls` those in which a provider was called."""

    subject_id: UUID
    channel: Channel
    offset_minutes: int
    time_version: int
    client_id: UUID | None
    booking_id: UUID | None
    state: State
    due_time: datetime
    useful_until: datetime | None
    calls: int
    create_time: datetime
    # Real time.
    first_attempt_time: datetime | None
    provider: str
    reason: str
    # Of the delivery's row: of no studio it is NO_TENANT.
    tenant_id: UUID

    @property
    def message_kind(self) -> Kind:
        return Kind(self.kind)


def read(row: Any) -> Sending:
    """A claimed row of `deliveries`."""
    return Sending(
        id=row["id"],
        tenant=row["tenant_id"],
        tenant_id=row["tenant_id"],
        kind=row["kind"],
        dedup_key="",
        args=orjson.loads(row["args"]),
        due_at=row["due_at"],
        attempts=row["runs"],
        lease_token=row["lease_token"],
        traceparent=row["traceparent"],
        subject_id=row["subject_id"],
        channel=Channel(row["channel"]),
        offset_minutes=row["offset_minutes"],
        time_version=row["time_version"],
        client_id=row["client_id"],
        booking_id=row["booking_id"],
        state=State(row["state"]),
        due_time=row["due_time"],
        useful_until=row["useful_until"],
        calls=row["attempts"],
        create_time=row["create_time"],
        first_attempt_time=row["first_attempt_time"],
        provider=row["provider"],
        reason=row["reason"],
    )


@dataclass(frozen=True)
class End:
    """What came of a run."""

    state: State
    reason: str = ""
    # What the story calls it; by default the state.
    what: str = ""
    provider: str = ""
    provider_message_id: str = ""
    # When it is due again, if it was put off.
    due_at: datetime | None = None
    # The provider was not called after all.
    uncounted: bool = False
    # The lease is given back by who pauses before the next run.
    keeps_lease: bool = False


class Begun(Enum):
    """What came of noting a call that is about to be made."""

    YES = auto()
    # Another text of the same words, from and to the same numbers, is on its way: which of them the provider has could
    # not be told. Nothing was noted.
    TWIN = auto()
    # Somebody else has the delivery by now, or it has come to an end.
    LOST = auto()


@dataclass(frozen=True)
class _Begin:
    sending: Sending
    provider: str
    words_hash: bytes | None


@dataclass
class Notes:
    """The notes of one process."""

    database: Database
    _begins: "Batches[_Begin, bool]" = field(init=False)
    _ends: "Batches[tuple[Sending, End], bool]" = field(init=False)

    def __post_init__(self) -> None:
        self._begins = Batches(self._write_begins, lambda note: (note.sending.id,))
        self._ends = Batches(self._write_ends, lambda note: (note[0].id,))

    async def begin(self, sending: Sending, provider: str, words_hash: bytes | None) -> Begun:
        """Commits to one more call. `words_hash`: of a text, for a provider that forgets keys."""
        try:
            written = await self._begins.ask(_Begin(sending, provider, words_hash))
        except asyncpg.UniqueViolationError:
            return Begun.TWIN
        return Begun.YES if written else Begun.LOST

    async def end(self, sending: Sending, end: End) -> bool:
        """Writes what came of it; False when somebody else has it by now."""
        return await self._ends.ask((sending, end))

    async def unclaimed(self, provider: str, message_ids: Sequence[str]) -> Sequence[str]:
        """Those of a provider's ids that belong to no delivery yet."""
        if not message_ids:
            return []
        rows = await self.database.queue(_CLAIMED, provider, list(message_ids))
        return [each for each in message_ids if each not in {row["provider_message_id"] for row in rows}]

    async def _write_begins(self, batch: Sequence[_Begin]) -> Sequence[bool]:
        now = self.database.clock.now()
        ordered = sorted(batch, key=lambda note: note.sending.id.bytes)
        rows = await self.database.queue(
            _BEGIN,
            [note.sending.tenant_id for note in ordered],
            [note.sending.id for note in ordered],
            [note.sending.lease_token for note in ordered],
            [note.provider for note in ordered],
            [note.words_hash for note in ordered],
            [_line(step(now, "sending", provider=note.provider)) for note in ordered],
        )
        written = {row["id"] for row in rows}
        return [note.sending.id in written for note in batch]

    async def _write_ends(self, batch: Sequence[tuple[Sending, End]]) -> Sequence[bool]:
        now = self.database.clock.now()
        ordered = sorted(batch, key=lambda note: note[0].id.bytes)
        ends = [end for _, end in ordered]
        rows = await self.database.queue(
            _END,
            [sending.tenant_id for sending, _ in ordered],
            [sending.id for sending, _ in ordered],
            ["pending", "sending", "unknown"],
            now,
            [sending.lease_token for sending, _ in ordered],
            [str(end.state) for end in ends],
            [end.reason for end in ends],
            [end.provider_message_id for end in ends],
            [end.due_at for end in ends],
            [end.uncounted for end in ends],
            [end.keeps_lease for end in ends],
            [
                _line(step(now, end.what or end.state, end.reason, end.provider, end.provider_message_id))
                for end in ends
            ],
        )
        written = {row["id"] for row in rows}
        return [sending.id in written for sending, _ in batch]


def _line(told: dict[str, str]) -> str:
    return orjson.dumps([told]).decode()
