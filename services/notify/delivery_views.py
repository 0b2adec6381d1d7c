"""How deliveries look from the studio: lists, figures of a period, and clients whom messages do not reach."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import RowMapping, select, text
from sqlalchemy.dialects.postgresql import insert

from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument
from services.notify import deliveries
from services.notify.models import Delivery, DismissedWarning

LONGEST_PERIOD = timedelta(days=400)
USUAL_PERIOD = timedelta(days=30)
# A failure that nobody has dismissed ends as a warning after this time: much has happened since.
WARNING_LIFE = timedelta(days=90)

# When the last thing happened to a message.
_MOMENT = "coalesce((f.story -> -1 ->> 'at')::timestamptz, f.due_at)"


@dataclass(frozen=True)
class Warned:
    """A client's last message of a channel, which failed."""

    client_id: UUID
    channel: str
    delivery_id: UUID
    reason: str
    fail_time: datetime


async def list_newest(tx: UnitOfWork, page: Page, wanted: Mapping[str, Any]) -> Sequence[Delivery]:
    """Deliveries of the studio, newest first; only those whose columns have the values wanted."""
    query = select(Delivery).where(Delivery.tenant_id == tx.tenant).order_by(Delivery.id.desc()).limit(page.limit)
    for column, value in wanted.items():
        query = query.where(getattr(Delivery, column) == value)
    if page.after is not None:
        query = query.where(Delivery.id < page.after[0])
    return (await tx.session.scalars(query)).all()


async def figures(
    tx: UnitOfWork, since: datetime, until: datetime
) -> tuple[Sequence[RowMapping], Sequence[RowMapping]]:
    """By channel, and by reason: of messages due in the half-open period, of which all are still there.

    Raises InvalidArgument for a period.
    """
    if not timedelta() < until - since <= LONGEST_PERIOD:
        raise InvalidArgument("end_time", f"must be after start_time, by at most {LONGEST_PERIOD.days} days")
    if since < tx.now() - deliveries.KEPT:
        raise InvalidArgument("start_time", f"messages are kept for {deliveries.KEPT.days} days", reason="TOO_LONG_AGO")
    period = {"tenant": tx.tenant, "since": since, "until": until}
    by_channel = (await tx.session.execute(_BY_CHANNEL, period)).mappings().all()
    return by_channel, (await tx.session.execute(_BY_REASON, period)).mappings().all()


async def list_warned(tx: UnitOfWork, page: Page) -> list[Warned]:
    """Clients with a warning, those first whose message failed last."""
    after = page.after or [datetime.max.replace(tzinfo=tx.now().tzinfo), UUID(int=2**128 - 1)]
    query = f"SELECT * FROM ({_WARNED}) w WHERE (fail_time, delivery_id) < (:time, :id)"  # noqa: S608 - no values
    query += " ORDER BY fail_time DESC, delivery_id DESC LIMIT :limit"
    values = {"time": after[0], "id": after[1], "limit": page.limit, "clients": None}
    return [Warned(*row) for row in await tx.session.execute(text(query), _with_life(tx, values))]


async def warned(tx: UnitOfWork, client_ids: Collection[UUID]) -> list[Warned]:
    """The warnings of these clients, by channel."""
    values = _with_life(tx, {"clients": list(client_ids)})
    return [Warned(*row) for row in await tx.session.execute(text(_WARNED), values)]


async def dismiss(tx: UnitOfWork, client_id: UUID) -> datetime:
    """Ends a client's warnings until another message fails."""
    row = insert(DismissedWarning).values(tenant_id=tx.tenant, client_id=client_id, dismiss_time=tx.now())
    await tx.session.execute(
        row.on_conflict_do_update(
            index_elements=["tenant_id", "client_id"], set_={"dismiss_time": row.excluded.dismiss_time}
        )
    )
    return tx.now()


def _with_life(tx: UnitOfWork, values: dict[str, Any]) -> dict[str, Any]:
    return {"tenant": tx.tenant, "since": tx.now() - WARNING_LIFE, **values}


_BY_CHANNEL = text("""
SELECT channel, sent, delivered, failed, skipped, open, coalesce(late[1], 0) AS p50, coalesce(late[2], 0) AS p99
FROM (
    SELECT channel,
           count(*) FILTER (WHERE accept_time IS NOT NULL) AS sent,
           count(*) FILTER (WHERE state = 'delivered') AS delivered,
           count(*) FILTER (WHERE state = 'failed') AS failed,
           count(*) FILTER (WHERE state = 'skipped') AS skipped,
           count(*) FILTER (WHERE state IN ('pending', 'sending', 'unknown')) AS open,
           percentile_cont(ARRAY[0.5, 0.99]) WITHIN GROUP (
               ORDER BY extract(epoch FROM accept_time - due_at)::float8) AS late
    FROM deliveries
    WHERE tenant_id = :tenant AND due_time >= :since AND due_time < :until
    GROUP BY channel
) figures ORDER BY channel
""")
_BY_REASON = text("""
SELECT channel, state, reason, count(*) AS count
FROM deliveries
WHERE tenant_id = :tenant AND due_time >= :since AND due_time < :until AND state IN ('skipped', 'failed')
GROUP BY channel, state, reason ORDER BY count(*) DESC, channel, reason LIMIT 100
""")
_WARNED = f"""
SELECT DISTINCT ON (f.client_id, f.channel)
       f.client_id, f.channel, f.id AS delivery_id, f.reason, {_MOMENT} AS fail_time
FROM deliveries f
WHERE f.tenant_id = :tenant AND f.state = 'failed' AND f.client_id IS NOT NULL AND f.create_time > :since
  AND (CAST(:clients AS uuid[]) IS NULL OR f.client_id = ANY (CAST(:clients AS uuid[])))
  AND NOT EXISTS (
      SELECT FROM deliveries s
      WHERE s.tenant_id = :tenant AND s.client_id = f.client_id AND s.channel = f.channel
        AND s.state IN ('accepted', 'delivered') AND s.accept_time > {_MOMENT})
  AND NOT EXISTS (
      SELECT FROM dismissed_warnings d
      WHERE d.tenant_id = :tenant AND d.client_id = f.client_id AND d.dismiss_time >= {_MOMENT})
ORDER BY f.client_id, f.channel, fail_time DESC, f.id DESC
"""  # noqa: S608 - constants only
