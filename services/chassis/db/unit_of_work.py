"""What a noun function gets: the session of one transaction, its studio, the clock, and the ways out of it."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from services.chassis.clock import Clock, real_now
from services.chassis.errors import InvalidArgument
from services.chassis.ids import NO_TENANT, new_id
from services.chassis.rpc.call import Call
from services.chassis.telemetry import current_traceparent


class UnitOfWork:
    """One transaction. Rows, events, jobs, the idempotency key and the audit entry commit together or not at all."""

    def __init__(self, session: AsyncSession, clock: Clock, tenant: UUID) -> None:
        self.session, self.clock, self.tenant = session, clock, tenant
        # Name of the resource for the audit entry, when the response has no `name` of its own.
        self.resource = ""
        self._changes: dict[str, Any] = {}

    def now(self) -> datetime:
        """Business time."""
        return self.clock.now()

    def of(self, tenant: UUID) -> "UnitOfWork":
        """The same transaction seen as another of its studios."""
        return UnitOfWork(self.session, self.clock, tenant)

    async def enter(self, tenant: UUID) -> None:
        """From here on the transaction works in this studio: one that was just created, or that a secret link named."""
        await self.session.execute(_ADD_TENANT, {"tenant": str(tenant)})
        self.tenant = tenant

    @asynccontextmanager
    async def trial(self) -> AsyncIterator[None]:
        """What the block writes is undone at its end, also without an error: a preview is the thing itself, tried."""
        savepoint = await self.session.begin_nested()
        try:
            yield
        finally:
            await savepoint.rollback()
            self.session.expire_all()

    async def publish(self, event: Message, *, aggregate: str, aggregate_id: UUID, version: int) -> None:
        """Tells the mesh what changed, when and if this transaction commits. `event` must hold no personal data."""
        await self.session.execute(_INSERT_EVENT, self._event_row(event, aggregate, aggregate_id, version))

    async def publish_all(self, events: Sequence[tuple[Message, UUID, int]], *, aggregate: str) -> None:
        """The same for many of one kind in one round trip: each event with its resource's id and version."""
        rows = [self._event_row(event, aggregate, resource_id, version) for event, resource_id, version in events]
        if rows:
            await self.session.execute(_INSERT_EVENT, rows)

    def _event_row(self, event: Message, aggregate: str, aggregate_id: UUID, version: int) -> dict[str, Any]:
        return {
            "event_id": new_id(),
            "tenant_id": None if self.tenant == NO_TENANT else self.tenant,
            "type": event.DESCRIPTOR.full_name,
            "aggregate": aggregate,
            "aggregate_id": aggregate_id,
            "version": version,
            "payload": json.dumps(MessageToDict(event)),
            "traceparent": current_traceparent(),
        }

    async def enqueue(
        self, kind: str, dedup_key: str, *, due_at: datetime | None = None, args: dict[str, Any] | None = None
    ) -> None:
        """Makes due work, once per (kind, dedup_key). `due_at` is business time, by default at once."""
        await self.session.execute(
            _INSERT_JOB,
            {
                "id": new_id(),
                "tenant_id": None if self.tenant == NO_TENANT else self.tenant,
                "kind": kind,
                "dedup_key": dedup_key,
                "args": json.dumps(args or {}),
                "due_at": due_at or self.now(),
                "traceparent": current_traceparent(),
            },
        )

    def note_change(self, field: str, before: Any, after: Any) -> None:
        """Adds a field's old and new value to the audit entry. Ids and plain values only, nothing personal."""
        self._changes[field] = [before, after]

    async def claim_key(self, call: Call) -> bytes | None:
        """Takes the call's idempotency key, or returns the response stored under it.

        Waits for a call with the same key that is still running. Raises InvalidArgument when the key came with another
        request.
        """
        key = {
            "tenant_id": call.tenant,
            "principal": call.principal.name,
            "method": call.method,
            "key": call.request_id,
        }
        claimed = await self.session.scalar(_CLAIM_KEY, {**key, "request_hash": call.request_hash})
        if claimed:
            return None
        row = (await self.session.execute(_READ_KEY, key)).one()
        if row.request_hash != call.request_hash:
            raise InvalidArgument("request_id", "was used for another request", reason="IDEMPOTENCY_KEY_REUSED")
        return bytes(row.response)

    async def store_response(self, call: Call, response: Message) -> None:
        """Keeps the response for repeats, without its secret fields."""
        await self.session.execute(
            _STORE_RESPONSE,
            {
                "tenant_id": call.tenant,
                "principal": call.principal.name,
                "method": call.method,
                "key": call.request_id,
                "response": call.without_secrets(response).SerializeToString(),
            },
        )

    async def audit(self, call: Call, response: Message) -> None:
        """Writes who did this, in this transaction."""
        await self.session.execute(
            _INSERT_AUDIT,
            {
                "tenant_id": self.tenant,
                "id": new_id(),
                "principal": call.principal.name,
                "method": call.method.rpartition("/")[2],
                "resource": self.resource or getattr(response, "name", ""),
                "changes": json.dumps(self._changes, default=str),
                "create_time": real_now(),
            },
        )


_ADD_TENANT = text(
    "SELECT set_config('app.tenants', format('{%s,%s}', CAST(:no_tenant AS text), CAST(:tenant AS text)), true)"
).bindparams(no_tenant=str(NO_TENANT))
_INSERT_EVENT = text(
    "INSERT INTO outbox (event_id, tenant_id, type, aggregate, aggregate_id, version, payload, traceparent)"
    " VALUES (:event_id, :tenant_id, :type, :aggregate, :aggregate_id, :version, CAST(:payload AS jsonb), :traceparent)"
)
_INSERT_JOB = text(
    "INSERT INTO jobs (id, tenant_id, kind, dedup_key, args, due_at, traceparent)"
    " VALUES (:id, :tenant_id, :kind, :dedup_key, CAST(:args AS jsonb), :due_at, :traceparent)"
    " ON CONFLICT (kind, dedup_key) DO NOTHING"
)
_CLAIM_KEY = text(
    "INSERT INTO idempotency (tenant_id, principal, method, key, request_hash)"
    " VALUES (:tenant_id, :principal, :method, :key, :request_hash) ON CONFLICT DO NOTHING RETURNING true"
)
_READ_KEY = text(
    "SELECT request_hash, response FROM idempotency"
    " WHERE tenant_id = :tenant_id AND principal = :principal AND method = :method AND key = :key"
)
_STORE_RESPONSE = text(
    "UPDATE idempotency SET response = :response"
    " WHERE tenant_id = :tenant_id AND principal = :principal AND method = :method AND key = :key"
)
_INSERT_AUDIT = text(
    "INSERT INTO audit_entries (tenant_id, id, principal, method, resource, changes, create_time)"
    " VALUES (:tenant_id, :id, :principal, :method, :resource, CAST(:changes AS jsonb), :create_time)"
)
