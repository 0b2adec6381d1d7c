"""Messages from proto3 JSON, by readers compiled once per message type.

What they accept json_format accepts too, with the same result; they refuse more, and name what they refuse by its path:
numbers in place of strings, times without offset, unknown enum numbers, a field given by both of its names. One thing
they allow beyond it: a FieldMask may spell fields as the proto does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from gateway.transcoding import values
from services.chassis.errors import InvalidArgument

MAX_DEPTH = 32

# Sets a message, whose type only the descriptors know, from parsed JSON; the path names it in errors.
Read = Callable[[Any, object, str, int], None]


class Field(NamedTuple):
    """A field of a message and what reads it from JSON into that message."""

    name: str
    # Empty when it is in none.
    oneof: str
    # Whether null is a value of it; elsewhere null means "not given".
    nullable: bool
    read: Read


def reader(message: Descriptor) -> Read:
    """What sets messages of a type from their JSON. It raises InvalidArgument."""
    if message not in _readers:
        if compile_type := _WELL_KNOWN.get(message.full_name):
            _readers[message] = compile_type(message)
        else:
            _compile(message)
    return _readers[message]


def fields(message: Descriptor) -> dict[str, Field]:
    """The fields of an ordinary message by both of their names."""
    reader(message)
    return _fields[message]


def is_well_known(message: Descriptor) -> bool:
    """Whether the message has a JSON form of its own."""
    return message.full_name in _WELL_KNOWN


def is_map(field: FieldDescriptor) -> bool:
    return field.is_repeated and field.message_type is not None and field.message_type.GetOptions().map_entry


_readers: dict[Descriptor, Read] = {}
_fields: dict[Descriptor, dict[str, Field]] = {}


def _compile(message: Descriptor) -> None:
    known: dict[str, Field] = {}

    def read(target: Any, value: object, path: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise InvalidArgument(path, f"is nested deeper than {MAX_DEPTH} levels")
        if not isinstance(value, dict):
            raise InvalidArgument(path or "body", "must be an object")
        seen: set[str] = set()
        for key, item in value.items():
            field = known.get(key)
            if field is None:
                raise InvalidArgument(_join(path, key), "no such field")
            here = _join(path, field.name)
            if field.name in seen:
                raise InvalidArgument(here, "is given twice")
            seen.add(field.name)
            read_field(target, field, item, here, depth)

    _readers[message], _fields[message] = read, known  # before its fields: they may be of the same type
    for descriptor in message.fields:
        oneof = descriptor.containing_oneof
        field = Field(
            descriptor.name,
            oneof.name if oneof and len(oneof.fields) > 1 else "",
            _is_null(descriptor) and not descriptor.is_repeated,
            _field_reader(descriptor),
        )
        known[descriptor.name] = known[descriptor.json_name] = field


def read_field(target: Any, field: Field, value: object, path: str, depth: int) -> None:
    """Sets one field of a message. Raises InvalidArgument, also when its oneof has another member already."""
    if value is None and not field.nullable:
        return
    if field.oneof and (other := target.WhichOneof(field.oneof)):
        raise InvalidArgument(path, f"cannot be given together with {other}")
    field.read(target, value, path, depth)


def _is_null(field: FieldDescriptor) -> bool:
    kind = field.message_type or field.enum_type
    return kind is not None and kind.full_name in ("google.protobuf.Value", "google.protobuf.NullValue")


def _field_reader(field: FieldDescriptor) -> Read:
    if is_map(field):
        return _map_reader(field)
    if field.is_repeated:
        return _list_reader(field)
    name = field.name
    if field.message_type is None:
        scalar = values.scalar_reader(field)

        def read_scalar(target: Any, value: object, path: str, _depth: int) -> None:
            # None comes as far as here for NullValue alone.
            setattr(target, name, 0 if value is None else scalar(value, path))

        return read_scalar
    inner = reader(field.message_type)

    def read_message(target: Any, value: object, path: str, depth: int) -> None:
        message = getattr(target, name)
        message.SetInParent()
        inner(message, value, path, depth + 1)

    return read_message


def _list_reader(field: FieldDescriptor) -> Read:
    name = field.name
    scalar = values.scalar_reader(field) if field.message_type is None else None
    inner = reader(field.message_type) if field.message_type else None

    def read(target: Any, value: object, path: str, depth: int) -> None:
        if not isinstance(value, list):
            raise InvalidArgument(path, "must be a list")
        items = getattr(target, name)
        for index, item in enumerate(value):
            if inner:
                inner(items.add(), item, f"{path}[{index}]", depth + 1)
            elif scalar:
                items.append(scalar(item, f"{path}[{index}]"))

    return read


def _map_reader(field: FieldDescriptor) -> Read:
    assert field.message_type
    name = field.name
    key_field, value_field = (field.message_type.fields_by_name[part] for part in ("key", "value"))
    read_key = values.scalar_reader(key_field)
    scalar = values.scalar_reader(value_field) if value_field.message_type is None else None
    inner = reader(value_field.message_type) if value_field.message_type else None

    def read(target: Any, value: object, path: str, depth: int) -> None:
        if not isinstance(value, dict):
            raise InvalidArgument(path, "must be an object")
        items = getattr(target, name)
        for text, item in value.items():
            here = f"{path}[{text}]"
            key = read_key(values.from_text(key_field, text), here)
            if key in items:
                raise InvalidArgument(here, "is given twice")
            if inner:
                inner(items[key], item, here, depth + 1)
            elif scalar:
                items[key] = scalar(item, here)

    return read


def _any_reader(message: Descriptor) -> Read:
    pool = message.file.pool

    def read(target: Any, value: object, path: str, depth: int) -> None:
        if not isinstance(value, dict):
            raise InvalidArgument(path, "must be an object")
        if not value:
            return
        url = value.get("@type")
        if not isinstance(url, str):
            raise InvalidArgument(_join(path, "@type"), "must name the type of what is inside")
        try:
            inner = pool.FindMessageTypeByName(url.split("/")[-1])
        except KeyError:
            raise InvalidArgument(_join(path, "@type"), "no such type") from None
        content: Any = message_factory.GetMessageClass(inner)()
        rest = {key: item for key, item in value.items() if key != "@type"}
        if is_well_known(inner):
            if rest.keys() != {"value"}:
                raise InvalidArgument(path, "must have a value beside its @type, and nothing else")
            reader(inner)(content, rest["value"], _join(path, "value"), depth + 1)
        else:
            reader(inner)(content, rest, path, depth + 1)
        target.type_url, target.value = url, content.SerializeToString()

    return read


def _read_value(target: Any, value: object, path: str, depth: int) -> None:
    match value:
        case None:
            target.null_value = 0
        case bool():
            target.bool_value = value
        case int() | float():
            target.number_value = values.finite(value, path)
        case str():
            target.string_value = values.text(value, path)
        case list():
            target.list_value.SetInParent()
            _read_list(target.list_value, value, path, depth + 1)
        case _:
            target.struct_value.SetInParent()
            _read_struct(target.struct_value, value, path, depth + 1)


def _read_struct(target: Any, value: object, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidArgument(path, f"is nested deeper than {MAX_DEPTH} levels")
    if not isinstance(value, dict):
        raise InvalidArgument(path, "must be an object")
    for key, item in value.items():
        _read_value(target.fields[values.text(key, path)], item, _join(path, key), depth)


def _read_list(target: Any, value: object, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise InvalidArgument(path, f"is nested deeper than {MAX_DEPTH} levels")
    if not isinstance(value, list):
        raise InvalidArgument(path, "must be a list")
    for index, item in enumerate(value):
        _read_value(target.values.add(), item, f"{path}[{index}]", depth)


def _wrapper_reader(message: Descriptor) -> Read:
    scalar = values.scalar_reader(message.fields_by_name["value"])

    def read(target: Any, value: object, path: str, _depth: int) -> None:
        target.value = scalar(value, path)

    return read


def _text_reader(read_text: Callable[[Any, object, str], None]) -> Callable[[Descriptor], Read]:
    return lambda _message: lambda target, value, path, _depth: read_text(target, value, path)


# Full name → what compiles the reader of a type that has a JSON form of its own.
_WELL_KNOWN: dict[str, Callable[[Descriptor], Read]] = {
    **{name: _text_reader(read_text) for name, read_text in values.TEXT_FORMS.items()},
    **dict.fromkeys(values.WRAPPERS, _wrapper_reader),
    "google.protobuf.Any": _any_reader,
    "google.protobuf.Struct": lambda _message: _read_struct,
    "google.protobuf.Value": lambda _message: _read_value,
    "google.protobuf.ListValue": lambda _message: _read_list,
}


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
