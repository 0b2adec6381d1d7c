"""Short ways to check in, to pay, and to let time pass after a class."""

from datetime import timedelta
from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from powerhouse.booking.v1 import attendance_service_pb2 as pb
from powerhouse.booking.v1 import booking_service_pb2
from powerhouse.booking.v1.booking_pb2 import Booking, BookingPolicy
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.drop_in_service_pb2 import ConfirmDropInRequest, MarkDropInPaidRequest
from powerhouse.booking.v1.drop_in_service_pb2_grpc import DropInServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking.jobs import expire_drop_in, mark_no_shows
from services.chassis.ids import new_id
from services.chassis.jobs.registry import Job
from tests.integration.booking.house import House, key, last_id

HOUR = timedelta(hours=1)


async def rule(house: House, **terms: Any) -> None:
    """Puts terms of the policy in force; bookings made before keep theirs."""
    policy = BookingPolicy(name=f"{house.name}/bookingPolicy", **terms)
    await house.as_role(Role.ROLE_OWNER).UpdateBookingPolicy(
        booking_service_pb2.UpdateBookingPolicyRequest(
            booking_policy=policy, update_mask=FieldMask(paths=list(terms)), request_id=key()
        )
    )


async def soon(house: House, minutes: int = 30, **fields: Any) -> str:
    """A class that starts in so many minutes and takes 50."""
    return await house.plan(start=house.now + timedelta(minutes=minutes), **fields)


def check_in(house: House, booking: Booking, *, stub: Any = None, request_id: str = "") -> Any:
    return (stub or house.staff).CheckIn(pb.CheckInRequest(name=booking.name, request_id=request_id or key()))


def undo(house: House, booking: Booking, *, stub: Any = None, etag: str = "") -> Any:
    return (stub or house.staff).UndoCheckIn(pb.UndoCheckInRequest(name=booking.name, etag=etag, request_id=key()))


def self_check_in(booking: Booking, code: str, stub: Any, *, request_id: str = "") -> Any:
    return stub.SelfCheckIn(pb.SelfCheckInRequest(name=booking.name, code=code, request_id=request_id or key()))


async def code_of(house: House, session: str, stub: Any = None) -> pb.CheckInCode:
    shown: pb.CheckInCode = await (stub or house.staff).GetCheckInCode(pb.GetCheckInCodeRequest(class_session=session))
    return shown


def walk_in(house: House, session: str, client: Client, *, stub: Any = None, **fields: Any) -> Any:
    request = pb.WalkInRequest(class_session=session, client=client.name, **{"request_id": key(), **fields})
    return (stub or house.staff).WalkIn(request)


def book(house: House, session: str, client: Client, *, stub: Any = None, **fields: Any) -> Any:
    """`House.book` with any field: a guest, a drop-in."""
    wanted = booking_service_pb2.NewBooking(class_session=session, client=client.name, **fields)
    return (stub or house.staff).CreateBooking(
        booking_service_pb2.CreateBookingRequest(parent=house.name, booking=wanted, request_id=key())
    )


def mark_paid(house: House, booking: Booking, *, stub: Any = None, etag: str = "", reason: str = "cash") -> Any:
    return (stub or house.staff).MarkDropInPaid(
        MarkDropInPaidRequest(name=booking.name, reason=reason, etag=etag, request_id=key())
    )


def pay(house: House, booking: Booking, payment_id: str) -> Any:
    """Payments tells of a payment."""
    payments = house.running.as_service(DropInServiceStub, "payments")
    return payments.ConfirmDropIn(ConfirmDropInRequest(parent=house.name, booking=booking.name, payment_id=payment_id))


async def expire_holds(house: House) -> int:
    """Runs the studio's jobs for holds that are due; returns how many there were."""
    due = await house.running.sql(
        "DELETE FROM jobs WHERE kind = 'expire_drop_in' AND tenant_id = $1 AND due_at <= $2"
        " RETURNING id, dedup_key, args ->> 'booking_id' AS booking_id, due_at",
        house.tenant,
        house.now,
    )
    for row in due:
        args = {"booking_id": row["booking_id"]}
        job = Job(row["id"], house.tenant, "expire_drop_in", row["dedup_key"], args, row["due_at"], 1, new_id(), None)
        await expire_drop_in(house.running.resources, job)
    return len(due)


async def mark_absent(house: House) -> None:
    """The tick."""
    await mark_no_shows(house.running.resources, house.now)


async def state_of(house: House, booking: Booking) -> str:
    return Booking.State.Name((await house.get(booking)).state)


async def told(house: House, booking: Booking) -> list[str]:
    """The states of a booking that events told, in order."""
    rows = await house.running.sql(
        "SELECT payload ->> 'state' AS state FROM outbox WHERE aggregate_id = $1 ORDER BY version",
        last_id(booking.name),
    )
    return [row["state"] for row in rows]


async def fees(house: House) -> list[tuple[str, str, int]]:
    """Kind, state and amount of the studio's fees."""
    rows = await house.running.sql(
        "SELECT kind, state, amount_minor FROM fees WHERE tenant_id = $1 ORDER BY create_time, id", house.tenant
    )
    return [tuple(row) for row in rows]
