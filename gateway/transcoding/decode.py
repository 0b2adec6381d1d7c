"""From an HTTP request to the gRPC request: body, then query, then path. Whatever does not fit is named and refused."""

from __future__ import annotations

import functools
import json
from typing import Any
from urllib.parse import unquote_to_bytes

from google.api import field_behavior_pb2
from google.protobuf import field_mask_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.transcoding import values
from gateway.transcoding.bindings import Binding, Match
from gateway.transcoding.path_template import BROKEN_ESCAPE
from services.chassis.errors import InvalidArgument

MAX_QUERY_PARAMETERS = 200
_FIELD_MASK = field_mask_pb2.FieldMask.DESCRIPTOR.full_name
# What a client that sends a whole resource back does not mean to change.
_NOT_WRITABLE = {field_behavior_pb2.OUTPUT_ONLY, field_behavior_pb2.IDENTIFIER, field_behavior_pb2.IMMUTABLE}


def decode_request(match: Match, query: bytes, body: bytes, content_type: str) -> Message:
    """The request message. Raises InvalidArgument; the content type was checked before."""
    binding = match.binding
    message = binding.request_class()
    document: object = None
    if binding.raw_request:
        raw: Any = getattr(message, binding.body) if binding.body else message
        raw.content_type, raw.data = content_type, body
    elif binding.body is None:
        if body:
            raise InvalidArgument("body", "this method takes no body")
    elif body:
        document = _parse(body)
        if field := binding.body_field:
            _fill_field(message, field, document, field.name, 0)
        else:
            fill(message, document, "", 0)
    _fill_query(message, binding, query)
    for names, text in binding.template.values(match.raw_segments).items():
        _fill_path(message, names, text)
    if binding.http_method == "PATCH" and isinstance(document, dict):
        _derive_mask(message, binding, document)
    return message


def _derive_mask(message: Message, binding: Binding, document: dict[str, object]) -> None:
    """A PATCH of one field that sends no mask means what its body holds."""
    field = binding.body_field
    masks = [f for f in message.DESCRIPTOR.fields if f.message_type and f.message_type.full_name == _FIELD_MASK]
    if field is None or field.message_type is None or len(masks) != 1 or message.HasField(masks[0].name):
        return
    bound = {variable.field[1:] for variable in binding.template.variables if variable.field[0] == field.name}
    getattr(message, masks[0].name).paths.extend(_mask(field.message_type, document, (), bound))


def _mask(
    message: Descriptor, document: dict[str, object], prefix: tuple[str, ...], bound: set[tuple[str, ...]]
) -> list[str]:
    paths: list[str] = []
    for key, value in document.items():
        field = _names(message)[key]
        path = (*prefix, field.name)
        behaviours = set(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])
        if path in bound or behaviours & _NOT_WRITABLE or path == ("etag",):
            continue
        nested = field.message_type if not field.is_repeated else None
        if value and isinstance(value, dict) and nested and not values.is_well_known(nested):
            paths += _mask(nested, value, path, bound)
        else:
            paths.append(".".join(path))
    return paths


def _parse(body: bytes) -> object:
    try:
        # Infinity and NaN, which JSON does not have, become floats that every field refuses by name.
        return json.loads(body.decode(), object_pairs_hook=_object, parse_constant=float)
    except UnicodeDecodeError as error:
        raise InvalidArgument("body", f"is not UTF-8 (byte {error.start})") from None
    except json.JSONDecodeError as error:
        raise InvalidArgument("body", f"is not JSON: line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise InvalidArgument("body", f"is nested deeper than {values.MAX_DEPTH} levels") from None
    except ValueError:
        raise InvalidArgument("body", "has a number with too many digits") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        raise InvalidArgument(next(key for key in keys if keys.count(key) > 1), "is given twice")
    return result


def fill(message: Message, value: object, path: str, depth: int) -> None:
    """Sets a message from its parsed JSON; `path` names it in errors."""
    if depth > values.MAX_DEPTH:
        raise InvalidArgument(path, f"is nested deeper than {values.MAX_DEPTH} levels")
    if values.fill_well_known(message, value, path):
        return
    if not isinstance(value, dict):
        raise InvalidArgument(path or "body", "must be an object")
    names = _names(message.DESCRIPTOR)
    seen: set[str] = set()
    for key, item in value.items():
        field = names.get(key)
        if field is None:
            raise InvalidArgument(_join(path, key), "no such field")
        here = _join(path, field.name)
        if field.name in seen:
            raise InvalidArgument(here, "is given twice")
        seen.add(field.name)
        if item is not None and (oneof := field.containing_oneof) and (other := message.WhichOneof(oneof.name)):
            raise InvalidArgument(here, f"cannot be given together with {other}")
        _fill_field(message, field, item, here, depth)


def _fill_field(message: Message, field: FieldDescriptor, value: object, path: str, depth: int) -> None:
    if value is None and not (field.message_type and field.message_type.full_name == "google.protobuf.Value"):
        return
    target = getattr(message, field.name)
    if _is_map(field):
        _fill_map(target, field, value, path, depth)
    elif field.is_repeated:
        if not isinstance(value, list):
            raise InvalidArgument(path, "must be a list")
        for index, item in enumerate(value):
            if field.message_type:
                fill(target.add(), item, f"{path}[{index}]", depth + 1)
            else:
                target.append(values.scalar(field, item, f"{path}[{index}]"))
    elif field.message_type:
        target.SetInParent()
        fill(target, value, path, depth + 1)
    else:
        setattr(message, field.name, values.scalar(field, value, path))


# protobuf's map containers have no common public type.
def _fill_map(target: Any, field: FieldDescriptor, value: object, path: str, depth: int) -> None:
    if not isinstance(value, dict):
        raise InvalidArgument(path or "body", "must be an object")
    assert field.message_type
    key_field, value_field = (field.message_type.fields_by_name[name] for name in ("key", "value"))
    for text, item in value.items():
        here = f"{path}[{text}]"
        key = values.scalar(key_field, values.from_text(key_field, text), here)
        if value_field.message_type:
            fill(target[key], item, here, depth + 1)
        else:
            target[key] = values.scalar(value_field, item, here)


def _fill_query(message: Message, binding: Binding, query: bytes) -> None:
    parameters = [pair.partition(b"=") for pair in query.split(b"&") if pair]
    if len(parameters) > MAX_QUERY_PARAMETERS:
        raise InvalidArgument("query", f"has more than {MAX_QUERY_PARAMETERS} query parameters")
    taken = {variable.field for variable in binding.template.variables}
    seen: set[tuple[str, ...]] = set()
    for raw_key, _, raw_value in parameters:
        key, text = _unquote(raw_key, "query"), _unquote(raw_value, raw_key.decode("ascii", "replace"))
        fields = _resolve(binding.method.input_type, key)
        names = tuple(field.name for field in fields)
        if not fields or binding.body == "" or names[0] == binding.body or names in taken:
            raise InvalidArgument(key, "no such query parameter")
        owner = _owner(message, names)
        field, path = fields[-1], ".".join(names)
        if field.is_repeated:
            getattr(owner, field.name).append(values.scalar(field, values.from_text(field, text), path))
            continue
        if names in seen:
            raise InvalidArgument(path, "is given twice")
        if (oneof := field.containing_oneof) and (other := owner.WhichOneof(oneof.name)):
            raise InvalidArgument(path, f"cannot be given together with {other}")
        seen.add(names)
        _fill_field(owner, field, values.from_text(field, text), path, 0)


def _fill_path(message: Message, names: tuple[str, ...], text: str) -> None:
    owner = _owner(message, names)
    field = _names(owner.DESCRIPTOR)[names[-1]]
    setattr(owner, field.name, values.scalar(field, values.from_text(field, text), ".".join(names)))


def _unquote(raw: bytes, what: str) -> str:
    if BROKEN_ESCAPE.search(raw):
        raise InvalidArgument(what, "has a '%' that is not followed by two hexadecimal digits")
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise InvalidArgument(what, "is not UTF-8") from None


def _resolve(message: Descriptor, dotted: str) -> list[FieldDescriptor]:
    """The fields along a dotted query name; empty when it does not lead to something one string can say."""
    fields: list[FieldDescriptor] = []
    here: Descriptor | None = message
    for name in dotted.split("."):
        field = _names(here).get(name) if here else None
        if field is None or (fields and fields[-1].is_repeated):
            return []
        fields.append(field)
        here = field.message_type
    leaf = fields[-1]
    return fields if (leaf.message_type is None if leaf.is_repeated else values.is_single(leaf)) else []


def _owner(message: Message, names: tuple[str, ...]) -> Message:
    for name in names[:-1]:
        message = getattr(message, name)
        message.SetInParent()
    return message


@functools.cache
def _names(message: Any) -> dict[str, FieldDescriptor]:
    return {name: field for field in message.fields for name in (field.name, field.json_name)}


def _is_map(field: FieldDescriptor) -> bool:
    return field.is_repeated and field.message_type is not None and field.message_type.GetOptions().map_entry


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
