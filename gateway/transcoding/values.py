"""Single values of proto3 JSON, read strictly: a wrong one raises an InvalidArgument that names its field."""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable
from typing import Any

from google.protobuf import any_pb2, duration_pb2, field_mask_pb2, json_format, struct_pb2, timestamp_pb2, wrappers_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from services.chassis.errors import InvalidArgument

MAX_DEPTH = 32

_INTEGERS: dict[int, tuple[int, int]] = {
    FieldDescriptor.CPPTYPE_INT32: (-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: (-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: (0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: (0, 2**64 - 1),
}
_LARGEST_FLOAT32 = 3.4028234663852886e38
_DIGITS = re.compile(r"-?[0-9]{1,20}")
_DECIMAL = re.compile(r"-?[0-9]{1,400}(\.[0-9]{1,400})?([eE][+-]?[0-9]{1,4})?|NaN|-?Infinity")
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)
_DURATION = re.compile(r"-?\d{1,12}(\.\d{1,9})?s", re.ASCII)
_FIELD_PATH = re.compile(r"[a-zA-Z]\w*(\.[a-zA-Z]\w*)*", re.ASCII)
_CAPITAL = re.compile(r"[A-Z]")


def scalar(field: FieldDescriptor, value: object, path: str) -> object:
    """The value to assign to a field that is no message; `path` names it in errors."""
    if field.enum_type is not None:
        return _enum(field, value, path)
    if field.cpp_type in _INTEGERS:
        return _integer(value, *_INTEGERS[field.cpp_type], path)
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        if not isinstance(value, bool):
            raise InvalidArgument(path, "must be true or false")
        return value
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        text = _text(value, path)
        return _bytes(text, path) if field.type == FieldDescriptor.TYPE_BYTES else text
    return _float(value, field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT, path)


def from_text(field: FieldDescriptor, text: str) -> object:
    """A path or query value as the JSON value that means the same."""
    wrapped = field.message_type and field.message_type.full_name in _WRAPPERS
    kind = field.message_type.fields_by_name["value"] if field.message_type and wrapped else field
    if kind.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return {"true": True, "false": False}.get(text, text)
    if kind.enum_type is not None and _DIGITS.fullmatch(text):
        return int(text)
    return text


def is_single(field: FieldDescriptor) -> bool:
    """Whether one string can say the field's value, as in a query."""
    return field.message_type is None or field.message_type.full_name in _TEXTUAL | _WRAPPERS


def is_well_known(message: Descriptor) -> bool:
    """Whether the message has a JSON form of its own."""
    return message.full_name in _WELL_KNOWN


def fill_well_known(message: Message, value: object, path: str) -> bool:
    """Sets a message that has a JSON form of its own; False when it is an ordinary message."""
    fill = _WELL_KNOWN.get(message.DESCRIPTOR.full_name)
    if fill:
        fill(message, value, path)
    return fill is not None


def _enum(field: FieldDescriptor, value: object, path: str) -> int:
    assert field.enum_type is not None
    known = None
    if isinstance(value, str):
        known = field.enum_type.values_by_name.get(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        known = field.enum_type.values_by_number.get(value)
    if known is None:
        raise InvalidArgument(path, "must be one of " + ", ".join(field.enum_type.values_by_name))
    return known.number


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
    named = value in ("NaN", "Infinity", "-Infinity")
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not named and (not math.isfinite(number) or (single and abs(number) > _LARGEST_FLOAT32)):
        raise InvalidArgument(path, "is too large a number")
    return number


def _text(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise InvalidArgument(path, "must be a string")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise InvalidArgument(path, "has half of a surrogate pair") from None
    return value


def _bytes(text: str, path: str) -> bytes:
    standard = text.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        return base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidArgument(path, "must be base64") from None


# The messages below are Any: each is a well-known type of whatever descriptor pool the request came from.
def _timestamp(message: Any, value: object, path: str) -> None:
    if not _TIMESTAMP.fullmatch(_text(value, path)):
        raise InvalidArgument(path, "must be an RFC 3339 time with its offset, like 2026-11-23T10:00:00Z")
    _parse(message.FromJsonString, value, path, "is no time that exists")


def _duration(message: Any, value: object, path: str) -> None:
    if not _DURATION.fullmatch(_text(value, path)):
        raise InvalidArgument(path, "must be a number of seconds, like 3.5s")
    _parse(message.FromJsonString, value, path, "is too long a duration")


def _field_mask(message: Any, value: object, path: str) -> None:
    text = _text(value, path)
    for part in text.split(",") if text else ():
        if not _FIELD_PATH.fullmatch(part):
            raise InvalidArgument(path, "must be field names separated by commas")
        message.paths.append(part if "_" in part else _CAPITAL.sub(lambda match: "_" + match[0].lower(), part))


def _wrapper(message: Any, value: object, path: str) -> None:
    message.value = scalar(message.DESCRIPTOR.fields_by_name["value"], value, path)


def _free_form(message: Any, value: Any, path: str) -> None:
    try:
        json_format.ParseDict(value, message, max_recursion_depth=MAX_DEPTH)
    except (json_format.ParseError, TypeError, ValueError, RecursionError):
        raise InvalidArgument(path, f"is not a valid {message.DESCRIPTOR.name}") from None


def _parse(read: Callable[[str], None], value: object, path: str, otherwise: str) -> None:
    try:
        read(str(value))
    except ValueError:
        raise InvalidArgument(path, otherwise) from None


Fill = Callable[[Any, object, str], None]
_TEXT_FORMS: dict[str, Fill] = {
    timestamp_pb2.Timestamp.DESCRIPTOR.full_name: _timestamp,
    duration_pb2.Duration.DESCRIPTOR.full_name: _duration,
    field_mask_pb2.FieldMask.DESCRIPTOR.full_name: _field_mask,
}
_TEXTUAL = frozenset(_TEXT_FORMS)
_WRAPPERS = frozenset(f"google.protobuf.{name}" for name in wrappers_pb2.DESCRIPTOR.message_types_by_name)
_WELL_KNOWN: dict[str, Fill] = {
    **_TEXT_FORMS,
    **dict.fromkeys(_WRAPPERS, _wrapper),
    any_pb2.Any.DESCRIPTOR.full_name: _free_form,
    **{f"google.protobuf.{name}": _free_form for name in struct_pb2.DESCRIPTOR.message_types_by_name},
}
