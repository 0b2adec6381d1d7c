"""When a studio reminds its clients: of classes of a type, or of all that have no settings of their own."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound, check_etag
from services.chassis.ids import NO_TENANT
from services.notify.models import Channel, ReminderSettings

# Minutes before the start: a mail and a text the day before, a text two hours before.
DEFAULT: Mapping[Channel, tuple[int, ...]] = {Channel.EMAIL: (1440,), Channel.SMS: (1440, 120)}
MUTABLE = ("email_offsets", "sms_offsets", "push_offsets")
# Follows a change of settings.
REARRANGE_JOB = "rearrange_reminders"


async def offsets(tx: UnitOfWork, class_type_id: UUID) -> Mapping[Channel, Sequence[int]]:
    """What holds for classes of a type."""
    rows = ReminderSettings
    query = select(rows).where(rows.tenant_id == tx.tenant, rows.class_type_id.in_((class_type_id, NO_TENANT)))
    found = {row.class_type_id: row for row in await tx.session.scalars(query)}
    row = found.get(class_type_id) or found.get(NO_TENANT)
    if row is None:
        return DEFAULT
    return {Channel.EMAIL: row.email_offsets, Channel.SMS: row.sms_offsets, Channel.PUSH: row.push_offsets}


async def get(tx: UnitOfWork, class_type_id: UUID) -> ReminderSettings:
    """The settings of a class type, or with NO_TENANT the studio's; of those never set the default. Raises NotFound."""
    row = await tx.session.get(ReminderSettings, (tx.tenant, class_type_id))
    if row is None and class_type_id != NO_TENANT:
        raise NotFound("reminder_settings")
    return row or ReminderSettings(**_default(tx, class_type_id))


async def list_all(tx: UnitOfWork, page: Page) -> Sequence[ReminderSettings]:
    """All that were set, the studio's own first."""
    rows = ReminderSettings
    query = select(rows).where(rows.tenant_id == tx.tenant).order_by(rows.class_type_id).limit(page.limit)
    if page.after is not None:
        query = query.where(rows.class_type_id > page.after[0])
    return (await tx.session.scalars(query)).all()


async def update(
    tx: UnitOfWork, class_type_id: UUID, changes: Mapping[str, Sequence[int]], etag: str
) -> ReminderSettings:
    """Changes some of MUTABLE; settings that are not there begin as what held before. Raises Aborted/ETAG_MISMATCH."""
    held = await offsets(tx, class_type_id)
    start = _default(tx, class_type_id) | {
        "email_offsets": list(held.get(Channel.EMAIL, ())),
        "sms_offsets": list(held.get(Channel.SMS, ())),
        "push_offsets": list(held.get(Channel.PUSH, ())),
    }
    await tx.session.execute(insert(ReminderSettings).values(start).on_conflict_do_nothing())
    row = await tx.session.get_one(ReminderSettings, (tx.tenant, class_type_id), with_for_update=True)
    check_etag(etag, row.etag)
    for column, minutes in changes.items():
        after = sorted(set(minutes), reverse=True)
        tx.note_change(column, getattr(row, column), after)
        setattr(row, column, after)
    row.touch(tx.now())
    await _rearrange(tx, class_type_id, row.version)
    return row


async def delete(tx: UnitOfWork, class_type_id: UUID, etag: str) -> ReminderSettings:
    """The class type is as the studio's other ones again. Raises NotFound, Aborted/ETAG_MISMATCH."""
    row = await tx.session.get(ReminderSettings, (tx.tenant, class_type_id), with_for_update=True)
    if row is None:
        raise NotFound("reminder_settings")
    check_etag(etag, row.etag)
    await tx.session.delete(row)
    await _rearrange(tx, class_type_id, row.version + 1)
    return row


async def _rearrange(tx: UnitOfWork, class_type_id: UUID, version: int) -> None:
    """What is planned already follows, a little at a time."""
    key = f"{tx.tenant}/{class_type_id}/{version}/{tx.now().isoformat()}"
    await tx.enqueue(REARRANGE_JOB, key, args={"class_type_id": str(class_type_id)})


def _default(tx: UnitOfWork, class_type_id: UUID) -> dict[str, object]:
    return {
        "tenant_id": tx.tenant,
        "class_type_id": class_type_id,
        "email_offsets": list(DEFAULT[Channel.EMAIL]),
        "sms_offsets": list(DEFAULT[Channel.SMS]),
        "push_offsets": [],
        "version": 0,
    }
