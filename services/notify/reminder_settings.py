"""When a studio reminds its clients: of all classes, or otherwise of those of some types."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID

import grpc
from sqlalchemy.dialects.postgresql import insert

from powerhouse.booking.v1 import sale_service_pb2
from powerhouse.booking.v1.sale_service_pb2 import CheckClassTypesRequest
from powerhouse.booking.v1.sale_service_pb2_grpc import SaleServiceStub
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound, check_etag
from services.chassis.resources import Resources
from services.notify.models import Channel, ReminderSettings

# Minutes before the start: a mail and a text the day before, a text two hours before; in a browser that listens too.
DEFAULT: Mapping[str, Sequence[int]] = {Channel.EMAIL: [1440], Channel.SMS: [1440, 120], Channel.PUSH: [120]}
MUTABLE = ("offsets", "class_types")
# Follows a change of settings.
REARRANGE_JOB = "rearrange_reminders"


async def get(tx: UnitOfWork) -> ReminderSettings:
    """The studio's settings; the default while nobody has set them."""
    return await tx.session.get(ReminderSettings, tx.tenant) or ReminderSettings(**_default(tx))


async def offsets(tx: UnitOfWork, class_type_id: UUID) -> Mapping[Channel, Sequence[int]]:
    """What holds for classes of a type."""
    settings = await get(tx)
    held = settings.class_types.get(str(class_type_id), settings.offsets)
    return {Channel(channel): minutes for channel, minutes in held.items()}


async def require_class_types(resources: Resources, studio: UUID, class_type_ids: Collection[str]) -> None:
    """Booking knows class types by their classes. Raises NotFound for one of which the studio has never planned any.

    Ask before a transaction begins.
    """
    if not class_type_ids:
        return
    booking = resources.stubs.get(
        SaleServiceStub, sale_service_pb2.DESCRIPTOR.services_by_name["SaleService"], "booking"
    )
    class_types = [f"studios/{studio}/classTypes/{class_type_id}" for class_type_id in class_type_ids]
    try:
        await booking.CheckClassTypes(CheckClassTypesRequest(parent=f"studios/{studio}", class_types=class_types))
    except grpc.aio.AioRpcError as error:
        if error.code() != grpc.StatusCode.NOT_FOUND:
            raise
        raise NotFound("class_type") from None


async def update(tx: UnitOfWork, changes: Mapping[str, Mapping[str, Any]], etag: str) -> ReminderSettings:
    """Changes some of MUTABLE; what is planned already follows. Raises Aborted/ETAG_MISMATCH."""
    await tx.session.execute(insert(ReminderSettings).values(_default(tx)).on_conflict_do_nothing())
    settings = await tx.session.get_one(ReminderSettings, tx.tenant, with_for_update=True)
    check_etag(etag, settings.etag)
    for column, value in changes.items():
        tx.note_change(column, getattr(settings, column), value)
        setattr(settings, column, value)
    settings.touch(tx.now())
    await tx.session.flush()
    await tx.enqueue(REARRANGE_JOB, f"{tx.tenant}/{settings.version}")
    return settings


def _default(tx: UnitOfWork) -> dict[str, Any]:
    return {"tenant_id": tx.tenant, "offsets": dict(DEFAULT), "class_types": {}, "version": 0}
