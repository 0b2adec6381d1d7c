"""Credits: the packages that clients own, and what staff do with them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo, available_timezones

from sqlalchemy import func, select, tuple_, update

from services.booking import changes, ledger
from services.booking.locks import lock_clients
from services.booking.models import BookingDetail, ClassSession, Client, ClientPackage, CreditHold
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, InvalidArgument, NotFound, PermissionDenied, check_etag
from services.chassis.ids import new_id

# As far as `valid_days` reaches.
_MAX_VALIDITY = timedelta(days=3660)


async def grant(
    tx: UnitOfWork,
    *,
    client_id: UUID,
    display_name: str,
    kind: str,
    credits: int,
    class_type_ids: Sequence[UUID],
    valid_days: int,
    starts_on_first_use: bool,
    expire_date: date | None,
    time_zone: str,
    reason: str,
) -> ClientPackage:
    """Gives a client a package of credits without payment, for classes of some types or (none named) of all.

    Its last day is `expire_date`, or `valid_days` after today, or as many after the first class it pays; with neither
    it is good for ever. That day counts whole, in `time_zone` ('': that of the last class the studio has planned).

    Raises NotFound for the client, or a type of which the studio has never planned a class; InvalidArgument with
    VALIDITY_AMBIGUOUS, EXPIRE_DATE_PAST, EXPIRE_DATE_TOO_FAR or UNKNOWN_TIME_ZONE.
    """
    await require_planned(tx, class_type_ids)
    return await issue(
        tx,
        client_id=client_id,
        display_name=display_name,
        kind=kind,
        credits=credits,
        class_type_ids=class_type_ids,
        valid_days=valid_days,
        starts_on_first_use=starts_on_first_use,
        expire_date=expire_date,
        time_zone=time_zone,
        reason=reason,
    )


async def issue(
    tx: UnitOfWork,
    *,
    client_id: UUID,
    display_name: str,
    kind: str,
    credits: int,
    class_type_ids: Sequence[UUID],
    valid_days: int,
    starts_on_first_use: bool,
    expire_date: date | None = None,
    end_time: datetime | None = None,
    time_zone: str = "",
    reason: str = "",
) -> ClientPackage:
    """The same, also for class types of which no class was planned yet; `end_time` names the last day by an instant."""
    if await tx.session.get(Client, (tx.tenant, client_id)) is None:
        raise NotFound("client")
    if (expire_date and valid_days) or (starts_on_first_use and not valid_days):
        field = "client_package.expire_date" if expire_date else "client_package.starts_on_first_use"
        raise InvalidArgument(field, "a package has valid_days or an expire_date", reason="VALIDITY_AMBIGUOUS")
    zone = await _zone(tx, time_zone)
    today = tx.now().astimezone(zone).date()
    if expire_date is not None and expire_date < today:
        raise InvalidArgument("client_package.expire_date", "is in the past", reason="EXPIRE_DATE_PAST")
    if expire_date is not None and expire_date > today + _MAX_VALIDITY:
        raise InvalidArgument("client_package.expire_date", "is too far ahead", reason="EXPIRE_DATE_TOO_FAR")
    last_day = today + timedelta(days=valid_days) if valid_days and not starts_on_first_use else expire_date
    if end_time is not None:
        # It may be over: what was paid is granted, however late that is known.
        last_day = end_time.astimezone(zone).date()
    package = ClientPackage(
        tenant_id=tx.tenant,
        id=new_id(),
        client_id=client_id,
        display_name=display_name,
        kind=kind,
        credits_granted=credits,
        class_type_ids=sorted(set(class_type_ids)),
        expire_time=day_end(last_day, zone) if last_day else None,
        time_zone=zone.key,
        first_use_days=valid_days if starts_on_first_use else 0,
        reason=reason,
        create_time=tx.now(),
        update_time=tx.now(),
    )
    tx.session.add(package)
    await tx.session.flush()
    await ledger.transfer(tx, ledger.ISSUED, package.id, credits, "granted", reason=reason)
    tx.note_change("credits", 0, credits)
    return await _changed(tx, package)


def day_end(day: date, zone: ZoneInfo) -> datetime:
    """The instant at which a day ends in a zone, in UTC: from then on a package of which it was the last is over."""
    return datetime.combine(day + timedelta(days=1), time.min, zone).astimezone(UTC)


async def get(tx: UnitOfWork, package_id: UUID, account: UUID | None) -> ClientPackage:
    """A package; with `account` only of a client it acts for.

    Raises PermissionDenied for any other, known or not, when narrowed; else NotFound.
    """
    query = select(ClientPackage, Client.account_id).join(
        Client, (Client.tenant_id == ClientPackage.tenant_id) & (Client.id == ClientPackage.client_id)
    )
    query = query.where(ClientPackage.tenant_id == tx.tenant, ClientPackage.id == package_id)
    row = (await tx.session.execute(query.execution_options(populate_existing=True))).one_or_none()
    if account is not None and (row is None or row.account_id != account):
        raise PermissionDenied()
    if row is None:
        raise NotFound("client_package")
    package: ClientPackage = row.ClientPackage
    return package


async def list_packages(
    tx: UnitOfWork, page: Page, *, account: UUID | None, client_id: UUID | None
) -> Sequence[ClientPackage]:
    """Packages, newest first: of the clients that `account` acts for, of one client, or of all where these are None."""
    query = select(ClientPackage).where(ClientPackage.tenant_id == tx.tenant)
    if client_id is not None:
        query = query.where(ClientPackage.client_id == client_id)
    if account is not None:
        own = select(Client.id).where(Client.tenant_id == tx.tenant, Client.account_id == account)
        query = query.where(ClientPackage.client_id.in_(own))
    key = tuple_(ClientPackage.create_time, ClientPackage.id)
    if page.after:
        query = query.where(key < tuple(page.after))
    query = query.order_by(ClientPackage.create_time.desc(), ClientPackage.id.desc())
    return (await tx.session.scalars(query.limit(page.limit))).all()


async def adjust(tx: UnitOfWork, package_id: UUID, *, delta: int, reason: str, etag: str) -> ClientPackage:
    """Staff add credits to a package, or take away some of what is left.

    Raises NotFound, Aborted/ETAG_MISMATCH, FailedPrecondition/NOT_ENOUGH_CREDITS, PACKAGE_REVOKED or PACKAGE_EXPIRED.
    """
    package = await _locked(tx, package_id, etag)
    if package.expire_time is not None and package.expire_time <= tx.now():
        raise FailedPrecondition("the package has expired", reason="PACKAGE_EXPIRED")
    left = package.credits_left
    if left + delta < 0:
        raise FailedPrecondition(
            f"the package has only {left} left", reason="NOT_ENOUGH_CREDITS", metadata={"credits_left": str(left)}
        )
    accounts = (ledger.ADJUSTED, package.id) if delta > 0 else (package.id, ledger.ADJUSTED)
    await ledger.transfer(tx, *accounts, abs(delta), "adjusted", reason=reason)
    tx.note_change("credits", left, left + delta)
    tx.note_change("reason", "", reason)
    return await _changed(tx, package)


async def revoke(tx: UnitOfWork, package_id: UUID, *, reason: str, etag: str) -> ClientPackage:
    """Staff take what is left of a package; what comes back to it later goes the same way, by `lapses`.

    Raises NotFound, Aborted/ETAG_MISMATCH, FailedPrecondition/PACKAGE_REVOKED or CREDITS_HELD.
    """
    package = await _locked(tx, package_id, etag)
    query = select(func.coalesce(func.sum(CreditHold.credits), 0)).where(
        CreditHold.tenant_id == tx.tenant, CreditHold.client_package_id == package_id
    )
    held = await tx.session.scalar(query)
    if held:
        raise FailedPrecondition(
            f"waitlists hold {held} of its credits", reason="CREDITS_HELD", metadata={"credits_held": str(held)}
        )
    tx.note_change("reason", "", reason)
    return await take_back(tx, package, reason)


async def take_back(tx: UnitOfWork, package: ClientPackage, reason: str = "") -> ClientPackage:
    """All that is left of a package, for good; under its client's lock."""
    left = package.credits_left
    await tx.session.execute(
        update(ClientPackage)
        .where(ClientPackage.tenant_id == tx.tenant, ClientPackage.id == package.id)
        .values(revoke_time=tx.now(), update_time=tx.now(), version=ClientPackage.version + 1)
        .execution_options(synchronize_session=False)
    )
    if left:
        await ledger.transfer(tx, package.id, ledger.REVOKED, left, "revoked", reason=reason)
    tx.note_change("credits", left, 0)
    return await _changed(tx, package)


async def give_back(tx: UnitOfWork, booking: BookingDetail, cause: str, reason: str = "") -> None:
    """Returns the credit of a booking to the package that paid."""
    assert booking.client_package_id is not None
    await ledger.transfer(
        tx, ledger.REDEEMED, booking.client_package_id, 1, cause, booking_id=booking.id, reason=reason
    )


async def require_planned(tx: UnitOfWork, class_type_ids: Sequence[UUID]) -> None:
    """Booking knows class types by their classes."""
    query = select(ClassSession.class_type_id).distinct()
    query = query.where(ClassSession.tenant_id == tx.tenant, ClassSession.class_type_id.in_(class_type_ids))
    if set(class_type_ids) - set(await tx.session.scalars(query)):
        raise NotFound("class_type")


async def _zone(tx: UnitOfWork, name: str) -> ZoneInfo:
    """The zone of that name; of none, that of the studio's class that is furthest ahead, or UTC."""
    if not name:
        latest = select(ClassSession.time_zone).where(ClassSession.tenant_id == tx.tenant)
        name = await tx.session.scalar(latest.order_by(ClassSession.start_time.desc()).limit(1)) or "UTC"
    if name not in available_timezones():
        raise InvalidArgument("client_package.time_zone", "is not an IANA time zone", reason="UNKNOWN_TIME_ZONE")
    return ZoneInfo(name)


async def _locked(tx: UnitOfWork, package_id: UUID, etag: str) -> ClientPackage:
    """A package under its client's lock, to be changed by staff."""
    seen = await get(tx, package_id, None)
    await lock_clients(tx, [seen.client_id])
    package = await get(tx, package_id, None)
    check_etag(etag, package.etag)
    if package.revoke_time is not None:
        raise FailedPrecondition("the package was revoked", reason="PACKAGE_REVOKED")
    return package


async def _changed(tx: UnitOfWork, package: ClientPackage) -> ClientPackage:
    """Tells the mesh, and reads what the trigger made of it."""
    await changes.publish_packages(tx, [package.id])
    await tx.session.refresh(package)
    return package
