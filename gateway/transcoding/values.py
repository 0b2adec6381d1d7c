"""Single values of proto3 JSON, read strictly: a wrong one raises an InvalidArgument that names its field."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from typing import Any

from google.protobuf import duration_pb2, field_mask_pb2, timestamp_pb2, wrappers_pb2
from google.protobuf.descriptor import EnumDescriptor, FieldDescriptor

from services.chassis.errors import InvalidArgument

_INTEGERS: dict[int, tuple[int, int]] = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_LARGEST_FLOAT32 = 3.4028234663852886e38
_DIGITS = re.compile(r"-?[0-9]{1,20}")
_DECIMAL = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,4})?|NaN|-?Infinity")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)", re.ASCII)
_DURATION = re.compile(r"-?\d{1,12}(\.\d{1,9})?s", re.ASCII)
_FIELD_PATH = re.compile(r"[a-zA-Z]\w*(\.[a-zA-Z]\w*)*", re.ASCII)
_CAPITAL = re.compile(r"[A-Z]")


# The value to assign for a parsed JSON value; the path names it in errors.
ReadScalar = Callable[[object, str], object]


def scalar_reader(field: FieldDescriptor) -> ReadScalar:
    """What reads the values of a field that is no message."""
    if field.enum_type is not None:
        return _enum_reader(field.enum_type)
    if field.cpp_type in _INTEGERS:
        low, high = _INTEGERS[field.cpp_type]
        return lambda value, path: _integer(value, low, high, path)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return _bool
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return _bytes if field.type == FieldDescriptor.TYPE_BYTES else text
    single = field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT
    return lambda value, path: _float(value, single, path)


def from_text(field: FieldDescriptor, text: str) -> object:
    """A path or query value as the JSON value that means the same."""
    wrapped = field.message_type and field.message_type.full_name in WRAPPERS
    kind = field.message_type.fields_by_name["value"] if field.message_type and wrapped else field
    if kind.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return {"true": True, "false": False}.get(text, text)
    if kind.enum_type is not None and _DIGITS.fullmatch(text):
        return int(text)
    return text


def is_single(field: FieldDescriptor) -> bool:
    """Whether one string can say the field's value, as in a query."""
    return field.message_type is None or field.message_type.full_name in TEXT_FORMS.keys() | WRAPPERS


def text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise InvalidArgument(path, "must be a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(path, "has half of a surrogate pair") from None
    return value


def finite(value: float, path: str) -> float:
    """A number that JSON can say and a double can hold."""
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise InvalidArgument(path, "is too large a number" if not math.isnan(number) else "must be a number")
    return number


def _bool(value: object, path: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidArgument(path, "must be true or false")
    return value


def _enum_reader(enum: EnumDescriptor) -> ReadScalar:
    known: dict[object, int] = {name: value.number for name, value in enum.values_by_name.items()}
    known |= {number: number for number in enum.values_by_number}
    names = ", ".join(enum.values_by_name)

    def read(value: object, path: str) -> int:
        # True is 1 to a dictionary.
        if not isinstance(value, str | int) or isinstance(value, bool) or value not in known:
            raise InvalidArgument(path, f"must be one of {names}")
        return known[value]

    return read


def _integer(value: object, low: int, high: int, path: str) -> int:
    if (isinstance(value, str) and _DIGITS.fullmatch(value)) or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InvalidArgument(path, "must be a whole number")
    if not low <= value <= high:
        raise InvalidArgument(path, f"must be between {low} and {high}")
    return value


def _float(value: object, single: bool, path: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise InvalidArgument(path, "must be a number")
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise InvalidArgument(path, "must be a number")
    if value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    number = finite(float(value) if isinstance(value, str) else value, path)
    if single and abs(number) > _LARGEST_FLOAT32:
        raise InvalidArgument(path, "is too large a number")
    return number


def _bytes(value: object, path: str) -> bytes:
    standard = text(value, path).replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArgument(path, "must be base64") from None


# The messages below are Any: each is a well-known type of whatever descriptor pool the request came from.
def _timestamp(message: Any, value: object, path: str) -> None:
    if not _TIMESTAMP.fullmatch(text(value, path)):
        raise InvalidArgument(path, "must be an RFC 3339 time with its offset, like 2026-11-23T10:00:00Z")
    _parse(message.FromJsonString, value, path, "is no time that exists")


def _duration(message: Any, value: object, path: str) -> None:
    if not _DURATION.fullmatch(text(value, path)):
        raise InvalidArgument(path, "must be a number of seconds, like 3.5s")
    _parse(message.FromJsonString, value, path, "is too long a duration")


def _field_mask(message: Any, value: object, path: str) -> None:
    listed = text(value, path)
    for part in listed.split(",") if listed else ():
        if not _FIELD_PATH.fullmatch(part):
            raise InvalidArgument(path, "must be field names separated by commas")
        message.paths.append(part if "_" in part else _CAPITAL.sub(lambda match: "_" + match[0].lower(), part))


def _parse(read: Callable[[str], None], value: object, path: str, otherwise: str) -> None:
    try:
        read(str(value))
    except ValueError:
        raise InvalidArgument(path, otherwise) from None


# Full name → what reads a message that JSON says by a string.
TEXT_FORMS: dict[str, Callable[[Any, object, str], None]] = {
    timestamp_pb2.Timestamp.DESCRIPTOR.full_name: _timestamp,
    duration_pb2.Duration.DESCRIPTOR.full_name: _duration,
    field_mask_pb2.FieldMask.DESCRIPTOR.full_name: _field_mask,
}
# Messages around one scalar, said as that scalar.
WRAPPERS = frozenset(f"google.protobuf.{name}" for name in wrappers_pb2.DESCRIPTOR.message_types_by_name)
