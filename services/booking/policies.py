"""A studio's rules of booking and cancelling, versioned: bookings keep the version they were made under."""

from collections.abc import Mapping

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert

from services.booking.models import BookingPolicy
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import Aborted, InvalidArgument, check_etag

TERMS = (
    "booking_opens_hours",
    "booking_closes_minutes",
    "cancellation_window_minutes",
    "late_cancel_fee_minor",
    "no_show_fee_minor",
    "no_show_grace_minutes",
    "max_upcoming_bookings",
    "max_daily_bookings",
    "max_guests",
    "drop_in_price_minor",
    "drop_in_hold_minutes",
    "waitlist_mode",
    "waitlist_cutoff_minutes",
    "waitlist_offer_minutes",
    "quiet_start_minute",
    "quiet_end_minute",
    "late_promotion_decline_minutes",
    "self_check_in_minutes",
    "no_show_marking",
    "waiver_required",
)
# What has no use at zero, and the least it may be.
_AT_LEAST = {"booking_opens_hours": 1, "drop_in_hold_minutes": 1, "waitlist_offer_minutes": 5}

_SETTLE = text(
    "WITH studio AS (INSERT INTO studio_ids (studio_id) VALUES (:tenant) ON CONFLICT DO NOTHING)"
    " INSERT INTO booking_policies (tenant_id, version, create_time) VALUES (:tenant, 1, :now) ON CONFLICT DO NOTHING"
)


async def settle(tx: UnitOfWork) -> None:
    """Gives the studio the default policy as its first version, unless it has one."""
    await tx.session.execute(_SETTLE, {"tenant": tx.tenant, "now": tx.now()})


async def in_force(tx: UnitOfWork) -> BookingPolicy:
    """The newest version."""
    await settle(tx)
    query = select(BookingPolicy).where(BookingPolicy.tenant_id == tx.tenant).order_by(BookingPolicy.version.desc())
    return (await tx.session.scalars(query.limit(1))).one()


async def update(tx: UnitOfWork, changes: Mapping[str, object], etag: str) -> BookingPolicy:
    """Puts a new version in force. Raises Aborted/ETAG_MISMATCH when it has changed meanwhile, InvalidArgument."""
    old = await in_force(tx)
    check_etag(etag, str(old.version))
    for name, least in _AT_LEAST.items():
        if changes.get(name) == 0:
            raise InvalidArgument(f"booking_policy.{name}", f"must be at least {least}")
    for name in ("waitlist_mode", "no_show_marking"):
        if changes.get(name) == f"{name.upper()}_UNSPECIFIED":
            raise InvalidArgument(f"booking_policy.{name}", "is required")
    terms = {name: getattr(old, name) for name in TERMS}
    for name, value in changes.items():
        tx.note_change(name, terms[name], value)
    version = insert(BookingPolicy).values(
        {**terms, **changes, "tenant_id": tx.tenant, "version": old.version + 1, "create_time": tx.now()}
    )
    # Two changes at once: the second finds its version taken.
    made: BookingPolicy | None = await tx.session.scalar(version.on_conflict_do_nothing().returning(BookingPolicy))
    if made is None:
        raise Aborted("it was changed meanwhile; read it again", reason="ETAG_MISMATCH")
    return made
