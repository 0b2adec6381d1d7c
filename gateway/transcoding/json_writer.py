"""Messages as proto3 JSON, by encoders compiled once per message type.

The form is that of `json_format.MessageToJson(message, always_print_fields_with_no_presence=True, ensure_ascii=False)`
without blanks, byte for byte: camelCase, 64-bit integers as strings, first the fields that are set in the order of
their numbers, then the unset ones that have no presence. Walking descriptors for each message, as json_format does,
costs about three times as much.
"""

from __future__ import annotations

import math
from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import orjson
from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor
from google.protobuf.internal.type_checkers import ToShortestFloat

Encode = Callable[[Any], object]

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - only its digits are printed
_INT64 = (FieldDescriptor.CPPTYPE_INT64, FieldDescriptor.CPPTYPE_UINT64)
# Below this Python writes an exponent and orjson does not.
_SMALLEST_PLAIN = 1e-4


def writer(message: Descriptor) -> Encode:
    """What turns messages of a type into values for `orjson.dumps`.

    Encoding raises ValueError for what has no JSON form: a time out of range, NaN in a Value, an Any of unknown type.
    """
    if message not in _compiled:
        compile_type = _WELL_KNOWN.get(message.full_name)
        if compile_type is None:
            _compile(message)
        else:
            _compiled[message] = compile_type(message)
    return _compiled[message]


_compiled: dict[Descriptor, Encode] = {}


def _compile(message: Descriptor) -> None:
    fields = _Fields()
    defaults: list[tuple[str, object]] = []

    def encode(value: Any) -> dict[str, object]:
        document: dict[str, object] = {}
        for field, item in value.ListFields():
            name, convert = fields[field]
            document[name] = convert(item) if convert else item
        for name, default in defaults:
            if name not in document:
                document[name] = default
        return document

    _compiled[message] = encode  # before its fields: they may be of the same type
    for field in message.fields:
        fields[field] = field.json_name, _field_encoder(field)
        if not field.has_presence:
            defaults.append((field.json_name, _default(field)))


class _Fields(dict[FieldDescriptor, tuple[str, Encode | None]]):
    """Field → its name in JSON and what converts its value, None when that is JSON as it is."""

    def __missing__(self, extension: FieldDescriptor) -> tuple[str, Encode | None]:
        self[extension] = f"[{extension.full_name}]", _field_encoder(extension)
        return self[extension]


def _default(field: FieldDescriptor) -> object:
    if _is_map(field):
        return {}
    if field.is_repeated:
        return []
    convert = _single_encoder(field)
    return convert(field.default_value) if convert else field.default_value


def _field_encoder(field: FieldDescriptor) -> Encode | None:
    if _is_map(field):
        assert field.message_type
        return _map_encoder(field.message_type)
    convert = _single_encoder(field)
    if not field.is_repeated:
        return convert
    return (lambda values: [convert(value) for value in values]) if convert else list


def _map_encoder(entry: Descriptor) -> Encode:
    by_bool = entry.fields_by_name["key"].cpp_type == FieldDescriptor.CPPTYPE_BOOL
    spell: Callable[[Any], str] = (lambda key: "true" if key else "false") if by_bool else str
    convert = _single_encoder(entry.fields_by_name["value"]) or (lambda value: value)
    return lambda values: {spell(key): convert(values[key]) for key in values}


def _single_encoder(field: FieldDescriptor) -> Encode | None:
    if field.message_type:
        return writer(field.message_type)
    if field.enum_type:
        return _enum_encoder(field.enum_type)
    if field.type == FieldDescriptor.TYPE_BYTES:
        return lambda value: b64encode(value).decode()
    if field.cpp_type in _INT64:
        return str
    if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT:
        # Only of finite ones: it never ends with NaN.
        return lambda value: _number(ToShortestFloat(value) if math.isfinite(value) else value)
    return _number if field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE else None


def _enum_encoder(enum: EnumDescriptor) -> Encode:
    if enum.full_name == "google.protobuf.NullValue":
        return lambda _number: None
    names: Mapping[int, str] = {number: value.name for number, value in enum.values_by_number.items()}
    return lambda number: names.get(number, number)


def _number(value: float) -> object:
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value if abs(value) >= _SMALLEST_PLAIN or value == 0 else orjson.Fragment(repr(value))


def _timestamp(stamp: Any) -> str:
    # Whole seconds are most of what we send; the rest, and the refusal of what is no time, is protobuf's own.
    if stamp.nanos:
        return str(stamp.ToJsonString())
    try:
        return (_EPOCH + timedelta(seconds=stamp.seconds)).isoformat() + "Z"
    except OverflowError:
        raise ValueError("the time is not between the years 1 and 9999") from None


def _any_encoder(message: Descriptor) -> Encode:
    pool = message.file.pool

    def encode(value: Any) -> object:
        if not value.ListFields():
            return {}
        try:
            inner = pool.FindMessageTypeByName(value.type_url.split("/")[-1])
        except KeyError:
            raise ValueError("Any holds a message of an unknown type") from None
        content: Any = writer(inner)(message_factory.GetMessageClass(inner).FromString(value.value))
        head = {"@type": value.type_url}
        return head | ({"value": content} if inner.full_name in _WELL_KNOWN else content)

    return encode


def _value(value: Any) -> object:
    match value.WhichOneof("kind"):
        case "list_value":
            return _list_value(value.list_value)
        case "struct_value":
            return _struct(value.struct_value)
        case "number_value":
            if not math.isfinite(value.number_value):
                raise ValueError("a Value must be a finite number")
            return _number(value.number_value)
        case None | "null_value":
            return None
        case kind:
            plain: object = getattr(value, kind)
            return plain


def _list_value(value: Any) -> object:
    return [_value(item) for item in value.values]


def _struct(value: Any) -> object:
    fields = value.fields
    return {key: _value(fields[key]) for key in fields}


def _wrapper_encoder(message: Descriptor) -> Encode:
    convert = _single_encoder(message.fields_by_name["value"])
    return (lambda wrapper: convert(wrapper.value)) if convert else (lambda wrapper: wrapper.value)


def _text_form(message: Any) -> object:
    return message.ToJsonString()


def _is_map(field: FieldDescriptor) -> bool:
    return field.is_repeated and field.message_type is not None and field.message_type.GetOptions().map_entry


_WRAPPED = ("Double", "Float", "Int64", "UInt64", "Int32", "UInt32", "Bool", "String", "Bytes")
# Full name → what compiles the encoder of a type that has a JSON form of its own.
_WELL_KNOWN: Mapping[str, Callable[[Descriptor], Encode]] = {
    "google.protobuf.Timestamp": lambda _message: _timestamp,
    "google.protobuf.Duration": lambda _message: _text_form,
    "google.protobuf.FieldMask": lambda _message: _text_form,
    "google.protobuf.Any": _any_encoder,
    "google.protobuf.Struct": lambda _message: _struct,
    "google.protobuf.Value": lambda _message: _value,
    "google.protobuf.ListValue": lambda _message: _list_value,
    **{f"google.protobuf.{kind}Value": _wrapper_encoder for kind in _WRAPPED},
}
