"""The gateway understands what Google's own client-side transcoder sends, for every annotated method of ours."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import pytest
from google.api_core import path_template
from google.protobuf import json_format
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.transcoding.bindings import Binding, Match, Router
from gateway.transcoding.decode import decode_request
from gateway.upstreams import CONTRACTS

ROUTER = Router(CONTRACTS)
BINDINGS = ROUTER.bindings
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SEGMENT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/"), min_size=1, max_size=8).filter(
    # Google's side refuses to send these.
    lambda text: text not in (".", "..")
)
# Seconds of the years 1 and 9999.
TIMES = st.integers(-62135596800, 253402300799)
INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
}


def test_there_are_routes() -> None:
    assert len(BINDINGS) > 50


def test_every_rule_is_a_route_of_ours() -> None:
    """Building the router refuses what is ambiguous; here nothing annotated may be missing from it."""
    annotated = {
        f"/{service.full_name}/{method.name}"
        for service in CONTRACTS
        for method in service.methods
        if "[google.api.http]" in str(method.GetOptions())
    }
    assert {binding.rpc for binding in BINDINGS} == annotated


@pytest.mark.parametrize("binding", BINDINGS, ids=lambda binding: f"{binding.http_method} {binding.path}")
def test_a_route_leads_to_its_own_method(binding: Binding) -> None:
    """No other route, more specific or not, takes an example of this one."""
    path = "/" + "/".join(segment.replace("*", "0192f0c1") for segment in binding.template.segments)
    verb = f":{binding.template.verb}" if binding.template.verb else ""
    match = ROUTER.match(binding.http_method, (path + verb).encode())
    assert isinstance(match, Match)
    assert match.binding is binding


@settings(max_examples=500, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.data())
def test_a_request_comes_back_from_its_uri_and_body(data: st.DataObject) -> None:
    binding = data.draw(st.sampled_from([binding for binding in BINDINGS if not binding.raw_request]))
    request: Any = binding.request_class()
    _fill(request, data)
    if binding.body:
        # Google's transcoder always sends the body field, so there is no way to leave it out.
        getattr(request, binding.body).SetInParent()
    for variable in binding.template.variables:
        owner = request
        for name in variable.field[:-1]:
            owner = getattr(owner, name)
        segments = binding.template.segments[variable.start : variable.end]
        setattr(owner, variable.field[-1], "/".join(data.draw(SEGMENT) if part == "*" else part for part in segments))
    rule = {"method": binding.http_method.lower(), "uri": binding.path}
    if binding.body is not None:
        rule["body"] = binding.body or "*"

    received: Any = _received(binding, path_template.transcode([rule], request))  # type: ignore[no-untyped-call]  # untyped library
    if binding.http_method == "PATCH" and not request.HasField("update_mask"):
        received.ClearField("update_mask")
    assert received == request


def _received(binding: Binding, sent: dict[str, Any]) -> Message:
    body = json.dumps(json_format.MessageToDict(sent["body"])).encode() if "body" in sent else b""
    query = json_format.MessageToDict(sent["query_params"], use_integers_for_enums=True)
    match = ROUTER.match(sent["method"].upper(), sent["uri"].encode())
    assert isinstance(match, Match)
    assert match.binding is binding
    return decode_request(match, urlencode(list(_parameters(query, ""))).encode(), body, "application/json")


def _parameters(document: dict[str, Any], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in document.items():
        if isinstance(value, dict):
            yield from _parameters(value, f"{prefix}{name}.")
            continue
        for item in value if isinstance(value, list) else [value]:
            yield f"{prefix}{name}", str(item).lower() if isinstance(item, bool) else str(item)


def _fill(message: Any, data: st.DataObject) -> None:
    """Sets any of the message's fields to any value that JSON can carry."""
    for field in message.DESCRIPTOR.fields:
        if not data.draw(st.booleans()):
            continue
        if field.is_repeated:
            repeated = getattr(message, field.name)
            for _ in range(data.draw(st.integers(1, 3))):
                if field.message_type and field.message_type.GetOptions().map_entry:
                    key, value = field.message_type.fields
                    repeated[data.draw(_scalars(key))] = data.draw(_scalars(value))
                elif field.message_type:
                    _fill_message(repeated.add(), data)
                else:
                    repeated.append(data.draw(_scalars(field)))
        elif field.message_type:
            _fill_message(getattr(message, field.name), data)
        else:
            setattr(message, field.name, data.draw(_scalars(field)))


def _fill_message(message: Any, data: st.DataObject) -> None:
    message.SetInParent()
    kind = message.DESCRIPTOR.full_name
    if kind == "google.protobuf.Timestamp":
        message.seconds, message.nanos = data.draw(TIMES), data.draw(st.integers(0, 10**9 - 1))
    elif kind == "google.protobuf.FieldMask":
        message.paths.extend(data.draw(st.lists(st.sampled_from(["display_name", "etag", "a.b_c"]), min_size=1)))
    else:
        assert not kind.startswith("google.protobuf."), f"teach this test to make a {kind}"
        _fill(message, data)


def _scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    if field.enum_type:
        return st.sampled_from(sorted(field.enum_type.values_by_number))
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return st.binary(max_size=8) if field.type == FieldDescriptor.TYPE_BYTES else TEXT
    if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT:
        return st.floats(width=32, allow_nan=False, allow_infinity=False)
    return INTEGERS.get(field.cpp_type, st.floats(allow_nan=False, allow_infinity=False))
