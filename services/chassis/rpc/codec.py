"""Instants and masks between protobuf and Python. Everything aware, everything UTC."""

from collections.abc import Collection
from datetime import UTC, datetime

from google.protobuf.field_mask_pb2 import FieldMask
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from services.chassis.errors import InvalidArgument


def to_timestamp(instant: datetime | None) -> Timestamp | None:
    """None stays unset. A naive datetime is a programming error."""
    if instant is None:
        return None
    if instant.tzinfo is None:
        raise ValueError("naive datetime")
    stamp = Timestamp()
    stamp.FromDatetime(instant)
    return stamp


def from_timestamp(message: Message, field: str) -> datetime | None:
    """The instant in a Timestamp field, None when unset. Raises InvalidArgument when it is out of range."""
    if not message.HasField(field):
        return None
    stamp: Timestamp = getattr(message, field)
    try:
        return stamp.ToDatetime(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidArgument(field, "is not a time between the years 1 and 9999") from None


def masked_fields(mask: FieldMask, resource: Message, resource_field: str, mutable: Collection[str]) -> list[str]:
    """The top-level fields that an update changes (AIP-134): those of the mask, or all set ones when there is no mask.

    Raises InvalidArgument for a path that does not exist or may not be changed.
    """
    if not mask.paths:
        return [field.name for field, _ in resource.ListFields() if field.name in mutable]
    if list(mask.paths) == ["*"]:
        return list(mutable)
    for path in mask.paths:
        if path not in mutable:
            known = path.split(".")[0] in resource.DESCRIPTOR.fields_by_name
            raise InvalidArgument(
                f"update_mask: {path}",
                "cannot be changed" if known else f"is no field of {resource_field}",
                reason="FIELD_NOT_MUTABLE" if known else "UNKNOWN_FIELD",
            )
    return list(dict.fromkeys(mask.paths))
