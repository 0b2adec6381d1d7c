"""When instructors can teach: weekly windows, and dates that are different. Generation reads both."""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from uuid import UUID

from sqlalchemy import select, tuple_

from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument, NotFound, check_etag
from services.scheduling import catalogue, studios
from services.scheduling.local_time import check_days
from services.scheduling.models import Availability, AvailabilityException, Instructor, resource_name

WEEKLY, EXCEPTIONS = "availabilities", "availabilityExceptions"
WHOLE_DAY = 24 * 60

# A weekday, 1 for Monday, and from and to in minutes of wall time.
Window = tuple[int, int, int]


async def get(tx: UnitOfWork, instructor_id: UUID, account: UUID | None) -> Availability:
    """An instructor's weekly windows, none while nobody has told any. Raises NotFound.

    Here as below, `account` narrows to instructors that sign in with it; None reaches all of the studio.
    """
    await _instructor(tx, instructor_id, account, resource_name(tx.tenant, WEEKLY, instructor_id))
    return await _windows(tx, instructor_id)


async def update(
    tx: UnitOfWork, instructor_id: UUID, account: UUID | None, etag: str, windows: Sequence[Window] | None
) -> Availability:
    """Replaces the windows; None leaves them. Sessions planned already stay.

    Raises NotFound, FailedPrecondition ARCHIVED, Aborted ETAG_MISMATCH, InvalidArgument WINDOW_EMPTY, WINDOWS_OVERLAP.
    """
    await studios.lock(tx)
    name = resource_name(tx.tenant, WEEKLY, instructor_id)
    catalogue.require_active(await _instructor(tx, instructor_id, account, name))
    availability = await _windows(tx, instructor_id)
    check_etag(etag, availability.etag)
    if windows is None:
        return availability
    told = _checked(windows)
    if told != availability.windows:
        tx.note_change("windows", availability.windows, told)
        availability.windows = told
        availability.touch(tx.now())
        tx.session.add(availability)
        await tx.session.flush()
    return availability


async def add_exception(
    tx: UnitOfWork,
    instructor_id: UUID,
    account: UUID | None,
    *,
    kind: str,
    start_date: date,
    end_date: date,
    start_minute: int,
    end_minute: int,
) -> AvailabilityException:
    """Days that are different: AWAY or EXTRA, from and to in minutes of each of them.

    Raises NotFound, FailedPrecondition ARCHIVED, InvalidArgument END_BEFORE_START, RANGE_TOO_LONG, WINDOW_EMPTY.
    """
    check_days("availability_exception.end_date", start_date, end_date)
    if end_minute <= start_minute:
        raise _empty("availability_exception.end_time_of_day")
    await studios.lock(tx)
    name = resource_name(tx.tenant, Instructor.COLLECTION, instructor_id)
    catalogue.require_active(await _instructor(tx, instructor_id, account, name))
    exception = AvailabilityException(
        tenant_id=tx.tenant,
        instructor_id=instructor_id,
        kind=kind,
        start_date=start_date,
        end_date=end_date,
        start_minute=start_minute,
        end_minute=end_minute,
    )
    tx.session.add(exception)
    await tx.session.flush()
    return exception


async def list_exceptions(
    tx: UnitOfWork, instructor_id: UUID | None, account: UUID | None, page: Page
) -> Sequence[AvailabilityException]:
    """Those that are not over, by (first day, id)."""
    exception = AvailabilityException
    # In some zone it is still yesterday.
    today = tx.now().date() - timedelta(days=1)
    query = select(exception).where(exception.tenant_id == tx.tenant, exception.end_date >= today)
    if instructor_id is not None:
        query = query.where(exception.instructor_id == instructor_id)
    if account is not None:
        own = select(Instructor.id).where(Instructor.tenant_id == tx.tenant, Instructor.account_id == account)
        query = query.where(exception.instructor_id.in_(own))
    if page.after:
        after = (date.fromisoformat(str(page.after[0])), page.after[1])
        query = query.where(tuple_(exception.start_date, exception.id) > tuple_(*after))
    query = query.order_by(exception.start_date, exception.id).limit(page.limit)
    return (await tx.session.scalars(query)).all()


async def remove_exception(
    tx: UnitOfWork, exception_id: UUID, account: UUID | None, etag: str
) -> AvailabilityException:
    """Takes it back, for good. Raises NotFound, Aborted ETAG_MISMATCH."""
    await studios.lock(tx)
    name = resource_name(tx.tenant, EXCEPTIONS, exception_id)
    exception = await tx.session.get(AvailabilityException, (tx.tenant, exception_id))
    if exception is None:
        raise NotFound(name)
    await _instructor(tx, exception.instructor_id, account, name)
    check_etag(etag, exception.etag)
    await tx.session.delete(exception)
    await tx.session.flush()
    return exception


async def _instructor(tx: UnitOfWork, instructor_id: UUID, account: UUID | None, name: str) -> Instructor:
    """Raises NotFound for `name`, also when the instructor is not the account's."""
    instructor = await tx.session.get(Instructor, (tx.tenant, instructor_id))
    if instructor is None or (account is not None and instructor.account_id != account):
        raise NotFound(name)
    return instructor


async def _windows(tx: UnitOfWork, instructor_id: UUID) -> Availability:
    found = await tx.session.get(Availability, (tx.tenant, instructor_id))
    return found or Availability(tenant_id=tx.tenant, id=instructor_id, windows=[], version=0)


def _checked(windows: Sequence[Window]) -> list[dict[str, int]]:
    """As they are kept: by weekday and time."""
    field = "availability.windows"
    ordered = sorted(windows)
    if any(end <= start for _, start, end in ordered):
        raise _empty(field)
    for (day, _, end), (next_day, start, _) in pairwise(ordered):
        if day == next_day and start < end:
            raise InvalidArgument(field, "two of them overlap", reason="WINDOWS_OVERLAP")
    return [{"weekday": day, "start_minute": start, "end_minute": end} for day, start, end in ordered]


def _empty(field: str) -> InvalidArgument:
    return InvalidArgument(field, "ends before it starts", reason="WINDOW_EMPTY")
