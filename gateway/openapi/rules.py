"""Field rules of `buf.validate` as keywords of JSON Schema."""

from __future__ import annotations

from typing import Any

from buf.validate import validate_pb2
from google.protobuf.descriptor import FieldDescriptor

Json = dict[str, Any]

_KEYWORDS = {
    "string": {"const": "const", "min_len": "minLength", "max_len": "maxLength", "pattern": "pattern", "in": "enum"},
    "repeated": {"min_items": "minItems", "max_items": "maxItems", "unique": "uniqueItems"},
    "map": {"min_pairs": "minProperties", "max_pairs": "maxProperties"},
}
_FORMATS = ("email", "hostname", "ipv4", "ipv6", "uri", "uuid")
_NUMBERS = {
    "const": "const",
    "gt": "exclusiveMinimum",
    "gte": "minimum",
    "lt": "exclusiveMaximum",
    "lte": "maximum",
    "in": "enum",
}
# Rules with code of their own below.
_TREATED = {"string": {"len", *_FORMATS}, "enum": {"defined_only", "in", "not_in"}, "repeated": {"items"}}


def rules_of(field: FieldDescriptor) -> validate_pb2.FieldRules:
    """The rules a field carries; empty ones when it has none."""
    rules: validate_pb2.FieldRules = field.GetOptions().Extensions[validate_pb2.field]
    return rules


def is_required(field: FieldDescriptor) -> bool:
    """Whether a rule refuses a request without the field."""
    return bool(rules_of(field).required)


def constrained(schema: Json, field: FieldDescriptor) -> Json:
    """The schema of a field's value with what the field's rules add; for a list of the whole list."""
    rules = rules_of(field)
    if rules.ignore == validate_pb2.IGNORE_ALWAYS:
        return schema
    result = _constrained(schema, rules, field)
    if rules.ignore == validate_pb2.IGNORE_IF_ZERO_VALUE and result != schema and field.message_type is None:
        return {"anyOf": [result, {"const": "" if field.type == FieldDescriptor.TYPE_STRING else 0}]}
    return result


def inexpressible(field: FieldDescriptor) -> list[str]:
    """Names of rules of a field that its schema does not show."""
    return _inexpressible(rules_of(field))


def _inexpressible(rules: validate_pb2.FieldRules) -> list[str]:
    kind = rules.WhichOneof("type")
    if kind is None:
        return []
    own = getattr(rules, kind)
    shown = {*_KEYWORDS.get(kind, _NUMBERS), *_TREATED.get(kind, ())}
    inner = _inexpressible(own.items) if kind == "repeated" else []
    return [f"{kind}.{rule.name}" for rule, _ in own.ListFields() if rule.name not in shown] + inner


def _constrained(schema: Json, rules: validate_pb2.FieldRules, field: FieldDescriptor) -> Json:
    kind = rules.WhichOneof("type")
    if kind is None:
        return schema
    own = getattr(rules, kind)
    if kind == "enum":
        return _narrowed(schema, own, field)
    if kind not in ("string", "repeated", "map") and schema.get("type") == "string":
        return schema  # a 64-bit number, which JSON holds as text: text has no minimum
    keywords = _KEYWORDS.get(kind, _NUMBERS)
    result = {**schema}
    for rule, value in own.ListFields():
        if rule.name in keywords:
            result[keywords[rule.name]] = list(value) if rule.is_repeated else value
        elif rule.name in _FORMATS:
            result["format"] = rule.name
        elif rule.name == "len":
            result |= {"minLength": value, "maxLength": value}
        elif rule.name == "items":
            result["items"] = _constrained(schema["items"], value, field)
    return result


def _narrowed(schema: Json, rules: validate_pb2.EnumRules, field: FieldDescriptor) -> Json:
    """An enum of fewer values is spelled out where it is used."""
    assert field.enum_type is not None
    only = getattr(rules, "in")
    allowed = [
        value.name
        for value in field.enum_type.values
        if value.number not in rules.not_in and (not only or value.number in only)
    ]
    return {"type": "string", "enum": allowed} if len(allowed) < len(field.enum_type.values) else schema
