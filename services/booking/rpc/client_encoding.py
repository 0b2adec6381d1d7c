"""Clients as messages, and back."""

from collections.abc import Collection
from datetime import date
from uuid import UUID

from powerhouse.booking.v1 import client_pb2 as pb
from services.booking.clients import Profile
from services.booking.models import ClientMerge, ClientTag
from services.booking.rpc.names import child, name_of
from services.chassis.errors import InvalidArgument
from services.chassis.ids import parse_name
from services.chassis.rpc.codec import to_timestamp


def encode_client(profile: Profile) -> pb.Client:
    client = profile.client
    return pb.Client(
        name=name_of(client.tenant_id, "clients", client.id),
        display_name=client.display_name,
        email=client.email or "",
        phone=client.phone or "",
        language=client.language,
        birth_date=client.birth_date.isoformat() if client.birth_date else "",
        emergency_contact_name=client.emergency_contact_name,
        emergency_contact_phone=client.emergency_contact_phone or "",
        guardian=name_of(client.tenant_id, "clients", client.guardian_id) if client.guardian_id else "",
        account=f"accounts/{client.account_id}" if client.account_id else "",
        tags=[name_of(client.tenant_id, "clientTags", tag_id) for tag_id in profile.tag_ids],
        must_sign_waiver=profile.must_sign_waiver,
        credits_left=profile.credits_left,
        etag=client.etag,
        create_time=to_timestamp(client.create_time),
        update_time=to_timestamp(client.update_time),
        archive_time=to_timestamp(client.archive_time),
    )


def encode_tag(tag: ClientTag) -> pb.ClientTag:
    return pb.ClientTag(
        name=name_of(tag.tenant_id, "clientTags", tag.id),
        display_name=tag.display_name,
        etag=tag.etag,
        create_time=to_timestamp(tag.create_time),
        update_time=to_timestamp(tag.update_time),
    )


def encode_merge(merge: ClientMerge) -> pb.ClientMerge:
    return pb.ClientMerge(
        name=name_of(merge.tenant_id, "clientMerges", merge.id),
        survivor=name_of(merge.tenant_id, "clients", merge.survivor_id),
        duplicate=name_of(merge.tenant_id, "clients", merge.duplicate_id),
        moved_bookings=len(merge.moved["bookings"]),
        moved_packages=len(merge.moved["packages"]),
        create_time=to_timestamp(merge.create_time),
        undo_time=to_timestamp(merge.undo_time),
    )


def decode_tags(client: pb.Client, fields: Collection[str]) -> list[UUID] | None:
    """The tags that the fields name; None when they are not among them. Raises InvalidArgument."""
    return [child(tag, "clientTags", "client.tags") for tag in client.tags] if "tags" in fields else None


def decode_client(client: pb.Client, fields: Collection[str]) -> dict[str, object]:
    """The given fields as columns. Raises InvalidArgument."""
    values: dict[str, object] = {field: getattr(client, field) for field in fields if field != "tags"}
    if "account" in values:
        del values["account"]
        values["account_id"] = parse_name(client.account, "accounts/*", "client.account")[0] if client.account else None
    if "birth_date" in values:
        values["birth_date"] = _decode_date(client.birth_date, "client.birth_date")
    return values


def _decode_date(text: str, field: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise InvalidArgument(field, "is no date", reason="BIRTH_DATE_INVALID") from None
