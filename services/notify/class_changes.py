"""What clients are told of a class that changes: that it is cancelled, on again, at another time, elsewhere or with
somebody else, or that it has fewer places and theirs is gone.

The newest change speaks for those before it that nobody has been told of, whichever order they come in: it says all
that is different, and how that was when the client last heard of it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any
from uuid import UUID

from sqlalchemy import select

from powerhouse.booking.v1.events_pb2 import ClassChanged, ClientsDisplaced
from services.chassis.db.unit_of_work import UnitOfWork
from services.notify import deliveries, push_subscriptions
from services.notify.deliveries import Plan
from services.notify.models import Channel, Delivery, Kind, State

_KINDS = (Kind.CLASS_CANCELLED, Kind.CLASS_CHANGED)
# Urgent enough for a text.
_URGENT = {ClassChanged.CANCELLED, ClassChanged.RESTORED, ClassChanged.TIME}
_SUPERSEDED = "told with a later change"
_CANCELLED = "cancelled"

# `changes` and what was `previous`, each of these with the version of the class that ended it.
Args = Mapping[str, Any]


async def announce(tx: UnitOfWork, told: ClassChanged) -> None:
    """Plans one message for each client and channel, unless a later change is known already."""
    version, mine = told.session_version, _args(told)
    about = (Delivery.kind.in_(_KINDS), Delivery.subject_id.in_([UUID(place.booking_id) for place in told.places]))
    query = select(Delivery).where(Delivery.tenant_id == tx.tenant, *about).order_by(Delivery.id).with_for_update()
    known = (await tx.session.scalars(query.execution_options(populate_existing=True))).all()
    unheard = [row for row in known if row.state == State.PENDING and row.attempts == 0]
    spoken_for = {row.subject_id for row in known if row.time_version > version}
    for row in unheard:
        if row.time_version > version:
            row.args = together(row.args, mine)
    before: dict[tuple[UUID, str], Args] = {}
    for row in unheard:
        if row.time_version < version:
            key = (row.subject_id, row.channel)
            before[key] = together(row.args, before.get(key, _NOTHING))
    await tx.session.flush()
    await deliveries.skip_waiting(tx, _SUPERSEDED, *about, Delivery.time_version < version)
    channels = (Channel.EMAIL, Channel.SMS) if _URGENT & set(told.changes) else (Channel.EMAIL,)
    listening = await push_subscriptions.listening(tx, [UUID(place.client_id) for place in told.places])
    await deliveries.plan(
        tx,
        *(
            Plan(
                kind=Kind.CLASS_CANCELLED if ClassChanged.CANCELLED in told.changes else Kind.CLASS_CHANGED,
                channel=channel,
                subject_id=UUID(place.booking_id),
                time_version=version,
                client_id=UUID(place.client_id),
                booking_id=UUID(place.booking_id),
                class_session_id=UUID(told.class_session_id),
                args=together(mine, before.get((UUID(place.booking_id), channel), _NOTHING)),
                useful_until=told.start_time.ToDatetime(tzinfo=UTC),
            )
            for place in told.places
            for channel in _with_push(channels, UUID(place.client_id), listening)
            if UUID(place.booking_id) not in spoken_for
        ),
    )


async def tell_displaced(tx: UnitOfWork, told: ClientsDisplaced) -> None:
    """Who has lost a place reads of it once; whether it is there again is asked when the message is sent."""
    listening = await push_subscriptions.listening(tx, [UUID(place.client_id) for place in told.places])
    await deliveries.plan(
        tx,
        *(
            Plan(
                kind=Kind.DISPLACED,
                channel=channel,
                subject_id=UUID(place.waitlist_entry_id or place.booking_id),
                client_id=UUID(place.client_id),
                booking_id=UUID(place.booking_id),
                class_session_id=UUID(told.class_session_id),
                args={"guest": place.guest},
                useful_until=told.start_time.ToDatetime(tzinfo=UTC),
            )
            for place in told.places
            for channel in _with_push((Channel.EMAIL, Channel.SMS), UUID(place.client_id), listening)
        ),
    )


def together(one: Args, other: Args) -> dict[str, Any]:
    """What two changes come to, in whichever order they are given. Pure.

    That a class was cancelled is no news of one that is on.
    """
    changes = {*one["changes"], *(each for each in other["changes"] if each != _CANCELLED)}
    previous = dict(one.get("previous", {}))
    for what, was in other.get("previous", {}).items():
        previous[what] = min(was, previous.get(what, was), key=lambda each: each["version"])
    return {"changes": [name for name in _ORDER if name in changes], "previous": previous}


_NOTHING: Args = {"changes": [], "previous": {}}
_ORDER = [name.lower() for name in ClassChanged.Change.keys()]  # noqa: SIM118  # not a mapping


def _args(told: ClassChanged) -> Args:
    was = {}
    if told.start_time != told.previous_start_time:
        was["time"] = told.previous_start_time.ToDatetime(tzinfo=UTC).isoformat()
    if told.previous_instructor_display_name:
        was["instructor"] = told.previous_instructor_display_name
    if told.previous_room_display_name:
        was["room"] = f"{told.previous_room_display_name}, {told.previous_location_display_name}"
    return {
        "changes": [ClassChanged.Change.Name(change).lower() for change in told.changes],
        "previous": {what: {"version": told.session_version, "was": value} for what, value in was.items()},
    }


def _with_push(channels: Sequence[Channel], client_id: UUID, listening: set[UUID]) -> Sequence[Channel]:
    return (*channels, Channel.PUSH) if client_id in listening else channels
