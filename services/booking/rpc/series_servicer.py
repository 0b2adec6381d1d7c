"""SeriesService: decode, call the noun, encode."""

from typing import Any

from powerhouse.booking.v1 import series_service_pb2 as pb
from powerhouse.booking.v1.series_service_pb2_grpc import SeriesServiceServicer
from services.booking import series
from services.booking.desk import Wanted
from services.booking.rpc.decoding import decode_wanted
from services.booking.rpc.encoding import encode_week
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument
from services.chassis.resources import Resources


class SeriesServicer(SeriesServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database = resources.database

    async def PreviewBookingSeries(self, request: pb.PreviewBookingSeriesRequest, context: Any) -> pb.BookingSeries:
        wanted = _wanted(request.series)
        async with self._database.read() as tx:
            weeks = await series.preview(tx, wanted, request.series.week_count)
        return pb.BookingSeries(weeks=[encode_week(week, previewed=True) for week in weeks])

    async def CreateBookingSeries(self, request: pb.CreateBookingSeriesRequest, context: Any) -> pb.BookingSeries:
        wanted, all_or_none = _wanted(request.series), request.series.mode != pb.NewBookingSeries.AVAILABLE

        async def change(tx: UnitOfWork) -> pb.BookingSeries:
            weeks = await series.book(tx, wanted, request.series.week_count, all_or_none=all_or_none)
            return pb.BookingSeries(weeks=[encode_week(week) for week in weeks])

        return await self._database.write(change)


def _wanted(wanted: pb.NewBookingSeries) -> Wanted:
    for field in ("guest_display_name", "drop_in"):
        if getattr(wanted.booking, field):
            raise InvalidArgument(f"series.booking.{field}", "is booked singly, not in a series")
    return decode_wanted(wanted.booking)
