"""From an HTTP request to the gRPC request: body, then query, then path. Whatever does not fit is named and refused."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote_to_bytes

from google.api import field_behavior_pb2
from google.protobuf import field_mask_pb2
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from gateway.transcoding import values
from gateway.transcoding.bindings import Binding, Match
from gateway.transcoding.json_reader import MAX_DEPTH, fields, is_well_known, read_field, reader
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
        request = binding.method.input_type
        if binding.body:
            read_field(message, fields(request)[binding.body], document, binding.body, 0)
        else:
            reader(request)(message, document, "", 0)
    if not binding.is_signed:
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
        field = message.fields_by_name[fields(message)[key].name]
        path = (*prefix, field.name)
        behaviours = set(field.GetOptions().Extensions[field_behavior_pb2.field_behavior])
        if path in bound or behaviours & _NOT_WRITABLE or path == ("etag",):
            continue
        nested = field.message_type if not field.is_repeated else None
        if value and isinstance(value, dict) and nested and not is_well_known(nested):
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
        raise InvalidArgument("body", f"is nested deeper than {MAX_DEPTH} levels") from None
    except ValueError:
        raise InvalidArgument("body", "has a number with too many digits") from None


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        raise InvalidArgument(next(key for key in keys if keys.count(key) > 1), "is given twice")
    return result


def _fill_query(message: Message, binding: Binding, query: bytes) -> None:
    parameters = [pair.partition(b"=") for pair in query.split(b"&") if pair]
    if len(parameters) > MAX_QUERY_PARAMETERS:
        raise InvalidArgument("query", f"has more than {MAX_QUERY_PARAMETERS} query parameters")
    taken = {variable.field for variable in binding.template.variables}
    seen: set[tuple[str, ...]] = set()
    for raw_key, _, raw_value in parameters:
        key, text = _unquote(raw_key, "query"), _unquote(raw_value, raw_key.decode("ascii", "replace"))
        along = _resolve(binding.method.input_type, key)
        names = tuple(field.name for field in along)
        if not along or binding.body == "" or names[0] == binding.body or names in taken:
            raise InvalidArgument(key, "no such query parameter")
        owner = _owner(message, names)
        field, path = along[-1], ".".join(names)
        if field.is_repeated:
            getattr(owner, field.name).append(values.scalar_reader(field)(values.from_text(field, text), path))
            continue
        if names in seen:
            raise InvalidArgument(path, "is given twice")
        seen.add(names)
        read_field(owner, fields(_type_of(owner))[field.name], values.from_text(field, text), path, 0)


def _fill_path(message: Message, names: tuple[str, ...], text: str) -> None:
    owner = _owner(message, names)
    field = _type_of(owner).fields_by_name[names[-1]]
    setattr(owner, field.name, values.scalar_reader(field)(values.from_text(field, text), ".".join(names)))


def _unquote(raw: bytes, what: str) -> str:
    if BROKEN_ESCAPE.search(raw):
        raise InvalidArgument(what, "has a '%' that is not followed by two hexadecimal digits")
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode()
    except UnicodeDecodeError:
        raise InvalidArgument(what, "is not UTF-8") from None


def _resolve(message: Descriptor, dotted: str) -> list[FieldDescriptor]:
    """The fields along a dotted query name; empty when it does not lead to something one string can say."""
    along: list[FieldDescriptor] = []
    here: Descriptor | None = message
    for name in dotted.split("."):
        known = fields(here).get(name) if here and not is_well_known(here) else None
        if known is None or here is None or (along and along[-1].is_repeated):
            return []
        along.append(here.fields_by_name[known.name])
        here = along[-1].message_type
    leaf = along[-1]
    return along if (leaf.message_type is None if leaf.is_repeated else values.is_single(leaf)) else []


def _owner(message: Message, names: tuple[str, ...]) -> Message:
    for name in names[:-1]:
        message = getattr(message, name)
        message.SetInParent()
    return message


def _type_of(message: Any) -> Descriptor:
    descriptor: Descriptor = message.DESCRIPTOR
    return descriptor
