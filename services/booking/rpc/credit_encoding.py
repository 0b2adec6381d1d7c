"""Packages and their histories as messages."""

from datetime import timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from powerhouse.booking.v1 import client_package_pb2 as pb
from services.booking import credit_words
from services.booking.credit_words import Entry
from services.booking.models import ClientPackage
from services.booking.rpc.names import name_of
from services.chassis.rpc.codec import to_timestamp


def encode_package(package: ClientPackage) -> pb.ClientPackage:
    return pb.ClientPackage(
        name=name_of(package.tenant_id, "clientPackages", package.id),
        client=name_of(package.tenant_id, "clients", package.client_id),
        display_name=package.display_name,
        credits_granted=package.credits_granted,
        credits_left=package.credits_left,
        expire_time=to_timestamp(package.expire_time),
        reason=package.reason,
        create_time=to_timestamp(package.create_time),
        kind=pb.ClientPackage.Kind.Value(package.kind),
        class_types=[name_of(package.tenant_id, "classTypes", each) for each in package.class_type_ids],
        first_use_days=package.first_use_days,
        last_day=_last_day(package),
        time_zone=package.time_zone,
        revoke_time=to_timestamp(package.revoke_time),
        etag=package.etag,
        update_time=to_timestamp(package.update_time),
    )


def encode_entry(tenant: UUID, entry: Entry) -> pb.LedgerEntry:
    """Of a package of the studio `tenant`."""
    local_start = ""
    if entry.start_time is not None and entry.time_zone is not None:
        local_start = entry.start_time.astimezone(ZoneInfo(entry.time_zone)).strftime("%Y-%m-%dT%H:%M")
    return pb.LedgerEntry(
        client_package=name_of(tenant, "clientPackages", entry.package_id),
        client_package_display_name=entry.package,
        cause=pb.LedgerEntry.Cause.Value(entry.cause.upper()),
        amount=entry.amount,
        balance=entry.balance,
        create_time=to_timestamp(entry.create_time),
        booking=name_of(tenant, "bookings", entry.booking_id) if entry.booking_id else "",
        class_session=name_of(tenant, "classSessions", entry.class_session_id) if entry.class_session_id else "",
        class_type_display_name=entry.class_type or "",
        start_time=to_timestamp(entry.start_time),
        local_start=local_start,
        time_zone=entry.time_zone or "",
        reason=entry.reason,
        sentence=credit_words.sentence(entry),
    )


def _last_day(package: ClientPackage) -> str:
    if package.expire_time is None:
        return ""
    last = package.expire_time - timedelta(microseconds=1)
    return last.astimezone(ZoneInfo(package.time_zone)).date().isoformat()
