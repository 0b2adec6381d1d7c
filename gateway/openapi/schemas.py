"""Messages as JSON Schema: what answers hold, what requests may hold, what a PATCH may change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum

from google.api import field_behavior_pb2
from google.protobuf.descriptor import Descriptor, EnumDescriptor, FieldDescriptor

from gateway.openapi.rules import Json, constrained, is_required

_TEXT: Json = {"type": "string"}
_INT64: Json = {"type": "string", "format": "int64", "pattern": "^-?[0-9]{1,20}$"}
_SCALARS: Mapping[int, Json] = {
    FieldDescriptor.CPPTYPE_INT32: {"type": "integer", "format": "int32"},
    FieldDescriptor.CPPTYPE_UINT32: {"type": "integer", "format": "int32", "minimum": 0},
    FieldDescriptor.CPPTYPE_INT64: _INT64,
    FieldDescriptor.CPPTYPE_UINT64: {**_INT64, "pattern": "^[0-9]{1,20}$"},
    FieldDescriptor.CPPTYPE_BOOL: {"type": "boolean"},
    FieldDescriptor.CPPTYPE_DOUBLE: {"type": "number", "format": "double"},
    FieldDescriptor.CPPTYPE_FLOAT: {"type": "number", "format": "float"},
    FieldDescriptor.CPPTYPE_STRING: _TEXT,
}
_ANY_OBJECT: Json = {"type": "object"}
# Messages whose JSON is not that of their fields.
_WELL_KNOWN: Mapping[str, Json] = {
    "google.protobuf.Timestamp": {"type": "string", "format": "date-time"},
    "google.protobuf.Duration": {"type": "string", "pattern": r"^-?[0-9]+(\.[0-9]{1,9})?s$"},
    "google.protobuf.FieldMask": _TEXT,
    "google.protobuf.Struct": _ANY_OBJECT,
    "google.protobuf.Value": {},
    "google.protobuf.ListValue": {"type": "array"},
    "google.protobuf.Any": {**_ANY_OBJECT, "properties": {"@type": _TEXT}, "required": ["@type"]},
}
# Fields of requests that mean the same everywhere, for contracts that do not say it again.
_STANDARD: Mapping[str, str] = {
    "page_token": "The `nextPageToken` of the page before; empty for the first.",
    "etag": "As last read; after a change since then it is refused with `ETAG_MISMATCH`. Empty does it anyway.",
    "show_archived": "Archived ones too.",
}
_READ_ONLY: set[int] = {field_behavior_pb2.OUTPUT_ONLY, field_behavior_pb2.IDENTIFIER}
_WRAPPED = "google.protobuf."


class Use(Enum):
    """Where a message stands. The same message is three schemas: fields and duties differ."""

    ANSWER = ""
    REQUEST = "Input"
    # Fields that are left out stay as they are.
    PATCH = "Patch"


_HIDDEN: Mapping[Use, set[int]] = {
    Use.ANSWER: set(),
    Use.REQUEST: _READ_ONLY,
    Use.PATCH: _READ_ONLY | {field_behavior_pb2.IMMUTABLE},
}


class Schemas:
    """The schemas of `components`, which grow as operations refer to them. Answers come first: they own plain names."""

    def __init__(self, comments: Mapping[str, str], descriptors: Iterable[Descriptor | EnumDescriptor]) -> None:
        """`descriptors`: everything that may be referred to; two of one name are told apart by their package."""
        self.components: dict[str, Json] = {}
        self.comments = comments
        self._names = _short_names(descriptors)
        self._answers: set[str] = set()

    def reference(self, message: Descriptor, use: Use, without: frozenset[str] = frozenset()) -> Json:
        """A reference to a message's schema, or the schema itself for a well-known one.

        `without` names fields that stay out; the same message and use must always leave out the same.
        """
        if (known := well_known(message)) is not None:
            return known
        key = self._names[message.full_name]
        if use is Use.ANSWER:
            self._answers.add(key)
        elif use is Use.PATCH or key in self._answers:
            key += use.value
        if key not in self.components:
            self.components[key] = {}  # here already when the message holds itself
            self.components[key].update(self.object(message, use, without))
        return {"$ref": f"#/components/schemas/{key}"}

    def object(self, message: Descriptor, use: Use, without: frozenset[str] = frozenset()) -> Json:
        """The schema of a message's fields."""
        fields = fields_of(message, use, without)
        schema: Json = {
            "type": "object",
            "properties": {field.json_name: self.property(field, use) for field in fields},
        }
        if comment := self.comments.get(message.full_name):
            schema["description"] = comment
        if use is not Use.ANSWER:
            schema["additionalProperties"] = False
        if required := [field.json_name for field in fields if _is_always_there(field, use)]:
            schema["required"] = required
        return schema

    def property(self, field: FieldDescriptor, use: Use) -> Json:
        """The schema of one field, its comment included."""
        schema = {**self._value(field, use)}  # a copy, since callers add to it
        if use is not Use.ANSWER:
            schema = constrained(schema, field)
        comment = self.comments.get(field.full_name, "")
        if use is not Use.ANSWER:
            comment = comment or _STANDARD.get(field.name, "")
        if oneof := field.containing_oneof:
            others = [other.json_name for other in oneof.fields if other is not field]
            comment += f"\n\nNot together with {', '.join(f'`{other}`' for other in others)}." if others else ""
        return {**schema, "description": comment.strip()} if comment.strip() else schema

    def _value(self, field: FieldDescriptor, use: Use) -> Json:
        message = field.message_type
        if message and message.GetOptions().map_entry:
            return {"type": "object", "additionalProperties": self._value(message.fields_by_name["value"], use)}
        # What a list holds is replaced as a whole, so a PATCH gives it as a creation would.
        inner = Use.REQUEST if use is Use.PATCH and field.is_repeated else use
        item = self.reference(message, inner) if message else self._scalar(field)
        return {"type": "array", "items": item} if field.is_repeated else item

    def _scalar(self, field: FieldDescriptor) -> Json:
        if field.enum_type is not None:
            return self._enum(field.enum_type)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return {**_TEXT, "contentEncoding": "base64"}
        return _SCALARS[field.cpp_type]

    def _enum(self, enum: EnumDescriptor) -> Json:
        key = self._names[enum.full_name]
        lines = [
            f"- `{value.name}`: {comment}"
            for value in enum.values
            if (comment := self.comments.get(f"{enum.full_name}.{value.name}"))
        ]
        description = "\n\n".join(part for part in (self.comments.get(enum.full_name), "\n".join(lines)) if part)
        schema: Json = {"type": "string", "enum": [value.name for value in enum.values]}
        self.components[key] = {**schema, "description": description} if description else schema
        return {"$ref": f"#/components/schemas/{key}"}


def well_known(message: Descriptor) -> Json | None:
    """The schema of a message that has a JSON form of its own."""
    if message.full_name.startswith(_WRAPPED) and message.name.endswith("Value") and "value" in message.fields_by_name:
        return _SCALARS[message.fields_by_name["value"].cpp_type]
    return _WELL_KNOWN.get(message.full_name)


def fields_of(message: Descriptor, use: Use, without: frozenset[str] = frozenset()) -> list[FieldDescriptor]:
    """The fields a schema shows: a request leaves out what only the server sets, a PATCH also what never changes."""
    hidden = _HIDDEN[use]
    return [
        field
        for field in message.fields
        if field.name not in without
        and not hidden & set(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])
    ]


def _is_always_there(field: FieldDescriptor, use: Use) -> bool:
    if use is Use.ANSWER:
        return not field.has_presence
    behaviours = field.GetOptions().Extensions[field_behavior_pb2.field_behavior]
    return use is Use.REQUEST and (field_behavior_pb2.REQUIRED in behaviours or is_required(field))


def _short_names(descriptors: Iterable[Descriptor | EnumDescriptor]) -> dict[str, str]:
    shorts: dict[str, list[str]] = {}
    for descriptor in descriptors:
        shorts.setdefault(descriptor.full_name.removeprefix(f"{descriptor.file.package}."), []).append(
            descriptor.full_name
        )
    return {full: short if len(fulls) == 1 else full for short, fulls in shorts.items() for full in fulls}
