"""Membership news: which changes of a membership its client is sent, one mail for each, and a push where it is due."""

from collections.abc import Mapping
from uuid import UUID

from powerhouse.payments.v1.events_pb2 import MembershipChanged
from services.chassis.db.unit_of_work import UnitOfWork
from services.notify import deliveries, push_subscriptions
from services.notify.deliveries import Plan
from services.notify.models import Kind

# Renewals are told by their receipts.
_KINDS: Mapping["MembershipChanged.Change.ValueType", Kind] = {
    MembershipChanged.JOINED: Kind.MEMBERSHIP_JOINED,
    MembershipChanged.DECLINED: Kind.MEMBERSHIP_PAST_DUE,
    MembershipChanged.CANCELLED: Kind.MEMBERSHIP_CANCELLED,
    MembershipChanged.ENDED_UNPAID: Kind.MEMBERSHIP_ENDED,
    MembershipChanged.PAUSED: Kind.MEMBERSHIP_PAUSED,
    MembershipChanged.RESUMED: Kind.MEMBERSHIP_PAUSED,
}


async def follow(tx: UnitOfWork, told: MembershipChanged, version: int) -> None:
    """Each change by its version, however often it is told; how things are then is asked when the mail is sent."""
    client_id = UUID(told.client_id)
    plans = [
        Plan(
            kind=_KINDS[change],
            channel=channel,
            subject_id=UUID(told.membership_id),
            time_version=version,
            client_id=client_id,
            args={"attempts": told.declined_attempts, "resumed": change == MembershipChanged.RESUMED},
        )
        for change in told.changes
        if change in _KINDS
        for channel in await push_subscriptions.channels_to(tx, _KINDS[change], client_id)
    ]
    await deliveries.plan(tx, *plans)
