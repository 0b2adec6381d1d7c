"""AttendanceService: decode, call the noun, encode."""

from datetime import timedelta
from typing import Any

from powerhouse.booking.v1 import attendance_service_pb2 as pb
from powerhouse.booking.v1.attendance_service_pb2_grpc import AttendanceServiceServicer
from powerhouse.booking.v1.booking_pb2 import Booking
from services.booking import attendance, class_sessions, rosters
from services.booking.check_in_codes import CheckInCodes
from services.booking.desk import Wanted
from services.booking.rpc.encoding import encode_booking, encode_offer, encode_roster_entry
from services.booking.rpc.names import child, only_own
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import to_timestamp


class AttendanceServicer(AttendanceServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database = resources.database
        self._codes = CheckInCodes(resources.settings.secret)

    async def GetRoster(self, request: pb.GetRosterRequest, context: Any) -> pb.Roster:
        session_id = child(request.class_session, "classSessions", "class_session")
        async with self._database.read() as tx:
            offer = await class_sessions.get_taught(tx, session_id, only_own())
            entries = await rosters.of_session(tx, session_id)
        return pb.Roster(session=encode_offer(offer), entries=[encode_roster_entry(entry) for entry in entries])

    async def CheckIn(self, request: pb.CheckInRequest, context: Any) -> Booking:
        booking_id = child(request.name, "bookings", "name")

        async def change(tx: UnitOfWork) -> Booking:
            return encode_booking(await attendance.check_in(tx, booking_id, instructor=only_own()))

        return await self._database.write(change)

    async def UndoCheckIn(self, request: pb.UndoCheckInRequest, context: Any) -> Booking:
        booking_id = child(request.name, "bookings", "name")

        async def change(tx: UnitOfWork) -> Booking:
            undone = await attendance.undo_check_in(tx, booking_id, instructor=only_own(), etag=request.etag)
            return encode_booking(undone)

        return await self._database.write(change)

    async def SelfCheckIn(self, request: pb.SelfCheckInRequest, context: Any) -> Booking:
        booking_id, account = child(request.name, "bookings", "name"), current_call().account()
        async with self._database.read() as tx:
            await attendance.count_self_check_in(tx, booking_id, account=account)

        async def change(tx: UnitOfWork) -> Booking:
            booking = await attendance.self_check_in(tx, booking_id, request.code, self._codes, account=account)
            return encode_booking(booking)

        return await self._database.write(change)

    async def GetCheckInCode(self, request: pb.GetCheckInCodeRequest, context: Any) -> pb.CheckInCode:
        session_id = child(request.class_session, "classSessions", "class_session")
        async with self._database.read() as tx:
            session = (await class_sessions.get_taught(tx, session_id, only_own())).session
        return pb.CheckInCode(
            class_session=request.class_session,
            code=self._codes.of(session.id, session.start_time),
            start_time=to_timestamp(session.start_time - timedelta(minutes=session.self_check_in_minutes)),
            end_time=to_timestamp(session.end_time),
        )

    async def WalkIn(self, request: pb.WalkInRequest, context: Any) -> Booking:
        wanted = Wanted.of_call(
            current_call(),
            class_session=child(request.class_session, "classSessions", "class_session"),
            client=child(request.client, "clients", "client"),
            account=None,
            spot=request.spot,
            drop_in=request.drop_in,
            override=attendance.WALK_IN,
        )

        async def change(tx: UnitOfWork) -> Booking:
            return encode_booking(await attendance.walk_in(tx, wanted))

        return await self._database.write(change)
