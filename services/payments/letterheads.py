"""Letterheads: whose receipts they are. What the studio has not said of itself is what scheduling says of it."""

from dataclasses import dataclass

from sqlalchemy.dialects.postgresql import insert

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import check_etag
from services.payments.models import Letterhead, Studio

MUTABLE = ("business_name", "address", "tax_number", "footer")


@dataclass(frozen=True)
class Issuer:
    """A studio as a receipt of this moment shows it."""

    name: str
    address: str
    tax_number: str
    footer: str
    time_zone: str


async def put_studio(tx: UnitOfWork, *, version: int, display_name: str, time_zone: str) -> None:
    """What scheduling says of the studio, unless something newer is known."""
    row = insert(Studio).values(tenant_id=tx.tenant, version=version, display_name=display_name, time_zone=time_zone)
    news = {name: row.excluded[name] for name in ("version", "display_name", "time_zone")}
    await tx.session.execute(
        row.on_conflict_do_update(index_elements=["tenant_id"], set_=news, where=Studio.version < row.excluded.version)
    )


async def issuer(tx: UnitOfWork) -> Issuer:
    """Whose receipts are written now."""
    studio, letterhead = await tx.session.get(Studio, tx.tenant), await get(tx)
    return Issuer(
        name=letterhead.business_name or (studio.display_name if studio else ""),
        address=letterhead.address,
        tax_number=letterhead.tax_number,
        footer=letterhead.footer,
        # Until scheduling was heard of.
        time_zone=studio.time_zone if studio else "UTC",
    )


async def get(tx: UnitOfWork) -> Letterhead:
    """The studio's letterhead; an empty one while nobody has set it."""
    letterhead = await tx.session.get(Letterhead, tx.tenant)
    return letterhead or Letterhead(tenant_id=tx.tenant, version=0, **dict.fromkeys(MUTABLE, ""))


async def update(tx: UnitOfWork, changes: dict[str, str], etag: str) -> Letterhead:
    """For receipts to come. Raises Aborted/ETAG_MISMATCH."""
    nothing = {"tenant_id": tx.tenant, "version": 0, **dict.fromkeys(MUTABLE, "")}
    await tx.session.execute(insert(Letterhead).values(nothing).on_conflict_do_nothing())
    letterhead = await tx.session.get_one(Letterhead, tx.tenant, with_for_update=True)
    check_etag(etag, letterhead.etag)
    for field, value in changes.items():
        tx.note_change(field, getattr(letterhead, field), value)
        setattr(letterhead, field, value)
    letterhead.touch(tx.now())
    await tx.session.flush()
    return letterhead
