"""Short ways to wait: joining, answering offers, and what the line of a session says."""

from typing import Any

from google.protobuf.field_mask_pb2 import FieldMask

from powerhouse.booking.v1 import booking_service_pb2 as booking_pb
from powerhouse.booking.v1 import waitlist_service_pb2 as pb
from powerhouse.booking.v1.booking_pb2 import BookingPolicy
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.booking.v1.waitlist_pb2 import WaitlistEntry
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking.jobs import settle_lines
from tests.integration.booking.house import House, key


def join(house: House, session: str, client: Client | None = None, *, stub: Any = None, request_id: str = "") -> Any:
    wanted = pb.NewWaitlistEntry(class_session=session, client=client.name if client else "")
    return (stub or house.staff).JoinWaitlist(
        pb.JoinWaitlistRequest(parent=house.name, waitlist_entry=wanted, request_id=request_id or key())
    )


async def queue(house: House, session: str, *clients: Client) -> list[WaitlistEntry]:
    """They join one after the other, a second apart."""
    entries = []
    for client in clients:
        entries.append(await join(house, session, client))
        house.move(seconds=1)
    return entries


def leave(house: House, entry: WaitlistEntry, *, stub: Any = None, etag: str = "") -> Any:
    request = pb.LeaveWaitlistRequest(name=entry.name, etag=etag, request_id=key())
    return (stub or house.staff).LeaveWaitlist(request)


def accept(house: House, entry: WaitlistEntry, *, stub: Any = None, etag: str = "") -> Any:
    return (stub or house.staff).AcceptOffer(pb.AcceptOfferRequest(name=entry.name, etag=etag, request_id=key()))


def decline(house: House, entry: WaitlistEntry, *, stub: Any = None) -> Any:
    return (stub or house.staff).DeclineOffer(pb.DeclineOfferRequest(name=entry.name, request_id=key()))


async def read(house: House, entry: WaitlistEntry, stub: Any = None) -> WaitlistEntry:
    found: WaitlistEntry = await (stub or house.staff).GetWaitlistEntry(pb.GetWaitlistEntryRequest(name=entry.name))
    return found


async def listed(house: House, stub: Any = None, **fields: Any) -> Any:
    return await (stub or house.staff).ListWaitlistEntries(pb.ListWaitlistEntriesRequest(parent=house.name, **fields))


async def explained(house: House, entry: WaitlistEntry, stub: Any = None, **fields: Any) -> Any:
    return await (stub or house.staff).ExplainWaitlistEntry(pb.ExplainWaitlistEntryRequest(name=entry.name, **fields))


async def states(house: House, *entries: WaitlistEntry) -> list[str]:
    """States of entries, with the reason of those that ended."""
    found = [await read(house, entry) for entry in entries]
    return [" ".join([WaitlistEntry.State.Name(each.state), each.reason]).strip() for each in found]


async def rule(house: House, **terms: Any) -> None:
    """Puts a policy with these terms in force."""
    policy = BookingPolicy(name=f"{house.name}/bookingPolicy", **terms)
    mask = FieldMask(paths=list(terms))
    await house.as_role(Role.ROLE_MANAGER).UpdateBookingPolicy(
        booking_pb.UpdateBookingPolicyRequest(booking_policy=policy, update_mask=mask, request_id=key())
    )


async def full(house: House, places: int = 1, **fields: Any) -> tuple[str, list[Any]]:
    """A session all of whose places are booked, and its bookings in order."""
    session, bookings = await house.plan(capacity=places, **fields), []
    for number in range(places):
        bookings.append(await house.book(session, await house.add_client(f"Booked {number}")))
        house.move(seconds=1)
    return session, bookings


async def tick(house: House) -> None:
    """The waitlist's tick, of all studios."""
    await settle_lines(house.running.resources, house.now)
