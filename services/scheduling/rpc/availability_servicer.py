"""AvailabilityService: when instructors can teach, at the wire."""

from typing import Any
from uuid import UUID

from powerhouse.scheduling.v1 import availability_service_pb2 as pb
from powerhouse.scheduling.v1.availability_service_pb2_grpc import AvailabilityServiceServicer
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_child, parse_name
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import masked_fields, to_timestamp
from services.scheduling import availability
from services.scheduling.models import Availability, AvailabilityException, Instructor, resource_name
from services.scheduling.recurrence import parse_date
from services.scheduling.rpc.methods import Methods, child_id, only_own


class AvailabilityServicer(Methods, AvailabilityServiceServicer):
    async def GetAvailability(self, request: pb.GetAvailabilityRequest, context: Any) -> pb.Availability:
        instructor_id = _instructor_id(request.name, "name")
        async with self._database.read() as tx:
            return encode_availability(await availability.get(tx, instructor_id, only_own()))

    async def UpdateAvailability(self, request: pb.UpdateAvailabilityRequest, context: Any) -> pb.Availability:
        given, account = request.availability, only_own()
        instructor_id = _instructor_id(given.name, "availability.name")
        fields = masked_fields(request.update_mask, given, "availability", ("windows",))
        windows = [_decode_window(window) for window in given.windows] if fields else None

        async def change(tx: UnitOfWork) -> pb.Availability:
            return encode_availability(await availability.update(tx, instructor_id, account, given.etag, windows))

        return await self._database.write(change)

    async def CreateAvailabilityException(
        self, request: pb.CreateAvailabilityExceptionRequest, context: Any
    ) -> pb.AvailabilityException:
        new, account = request.availability_exception, only_own()
        instructor_id = child_id(new.instructor, Instructor, "availability_exception.instructor")
        days = {
            field: parse_date(getattr(new, field), f"availability_exception.{field}")
            for field in ("start_date", "end_date")
        }

        async def change(tx: UnitOfWork) -> pb.AvailabilityException:
            exception = await availability.add_exception(
                tx,
                instructor_id,
                account,
                kind=pb.AvailabilityException.Kind.Name(new.kind),
                start_minute=_minute(new.start_time_of_day or "00:00"),
                end_minute=_minute(new.end_time_of_day or "24:00"),
                **days,
            )
            return encode_exception(exception)

        return await self._database.write(change)

    async def ListAvailabilityExceptions(
        self, request: pb.ListAvailabilityExceptionsRequest, context: Any
    ) -> pb.ListAvailabilityExceptionsResponse:
        parse_name(request.parent, "studios/*", "parent")
        account = only_own()
        instructor_id = child_id(request.instructor, Instructor, "instructor") if request.instructor else None
        query = f"{availability.EXCEPTIONS} {request.parent} {request.instructor} {account}"
        page = self._pager.page(query, request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await availability.list_exceptions(tx, instructor_id, account, page)
        shown, next_page_token = page.cut(rows, lambda row: (row.start_date.isoformat(), row.id))
        return pb.ListAvailabilityExceptionsResponse(
            availability_exceptions=[encode_exception(row) for row in shown], next_page_token=next_page_token
        )

    async def DeleteAvailabilityException(
        self, request: pb.DeleteAvailabilityExceptionRequest, context: Any
    ) -> pb.AvailabilityException:
        pattern = f"studios/*/{availability.EXCEPTIONS}/*"
        exception_id, account = parse_child(request.name, pattern, "name", current_call().tenant), only_own()

        async def change(tx: UnitOfWork) -> pb.AvailabilityException:
            return encode_exception(await availability.remove_exception(tx, exception_id, account, request.etag))

        return await self._database.write(change)


def encode_availability(row: Availability) -> pb.Availability:
    return pb.Availability(
        name=resource_name(row.tenant_id, availability.WEEKLY, row.id),
        instructor=resource_name(row.tenant_id, Instructor.COLLECTION, row.id),
        windows=[
            pb.Availability.Window(
                weekday=window["weekday"],
                start_time_of_day=_time_of_day(window["start_minute"]),
                end_time_of_day=_time_of_day(window["end_minute"]),
            )
            for window in row.windows
        ],
        etag=row.etag,
        update_time=to_timestamp(row.update_time),
    )


def encode_exception(row: AvailabilityException) -> pb.AvailabilityException:
    whole = (row.start_minute, row.end_minute) == (0, availability.WHOLE_DAY)
    return pb.AvailabilityException(
        name=resource_name(row.tenant_id, availability.EXCEPTIONS, row.id),
        instructor=resource_name(row.tenant_id, Instructor.COLLECTION, row.instructor_id),
        kind=pb.AvailabilityException.Kind.Value(row.kind),
        start_date=row.start_date.isoformat(),
        end_date=row.end_date.isoformat(),
        start_time_of_day="" if whole else _time_of_day(row.start_minute),
        end_time_of_day="" if whole else _time_of_day(row.end_minute),
        etag=row.etag,
        create_time=to_timestamp(row.create_time),
    )


def _instructor_id(name: str, field: str) -> UUID:
    return parse_child(name, f"studios/*/{availability.WEEKLY}/*", field, current_call().tenant)


def _decode_window(window: pb.Availability.Window) -> availability.Window:
    return window.weekday, _minute(window.start_time_of_day), _minute(window.end_time_of_day)


def _minute(time_of_day: str) -> int:
    """Of the day; the contract has checked the form."""
    hours, minutes = time_of_day.split(":")
    return 60 * int(hours) + int(minutes)


def _time_of_day(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
