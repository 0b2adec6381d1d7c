"""Our JSON is json_format's, byte for byte, for every message of ours and for every kind of field there is."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest
from google.protobuf import json_format
from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.transcoding.json_reader import reader
from gateway.transcoding.json_writer import writer
from gateway.upstreams import CONTRACTS
from services.chassis.errors import InvalidArgument
from tests.support.messages import message_types, messages, nearly
from tests.support.protos import compile_proto

SUPPORT = Path(__file__).parents[1] / "support"
KINDS = compile_proto(SUPPORT / "kinds.proto").message_types_by_name["Kinds"]
OLD_FILE = compile_proto(SUPPORT / "old_kinds.proto")
OLD_KINDS = OLD_FILE.message_types_by_name["OldKinds"]
OURS = [
    message
    for service in CONTRACTS
    for file in (service.file, *service.file.dependencies)
    if file.name.startswith("powerhouse/")
    for message in message_types(file)
]


def _as_bytes(message: Message) -> bytes:
    return orjson.dumps(writer(message.DESCRIPTOR)(message))


def _as_json_format(message: Any) -> bytes:
    document = json.loads(
        json_format.MessageToJson(
            message, always_print_fields_with_no_presence=True, descriptor_pool=message.DESCRIPTOR.file.pool
        ),
        # Numbers stay as they were spelled.
        parse_float=_Spelled,
        parse_int=_Spelled,
    )
    return _compact(document).encode()


class _Spelled(str):
    pass


def _compact(value: Any) -> str:
    if isinstance(value, _Spelled):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{_compact(key)}:{_compact(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_compact, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def test_there_are_messages() -> None:
    assert len(OURS) > 100


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(st.data())
def test_our_messages_read_as_json_format_writes_them(data: st.DataObject) -> None:
    message = data.draw(messages(data.draw(st.sampled_from(OURS))))
    assert _as_bytes(message) == _as_json_format(message)


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(message=st.one_of(messages(KINDS), messages(OLD_KINDS)))
def test_every_kind_of_field_reads_as_json_format_writes_it(message: Any) -> None:
    assert _as_bytes(message) == _as_json_format(message)


@pytest.mark.parametrize("message", [*OURS, KINDS, OLD_KINDS], ids=lambda message: message.full_name)
def test_an_empty_message_reads_as_json_format_writes_it(message: Descriptor) -> None:
    empty = GetMessageClass(message)()
    assert _as_bytes(empty) == _as_json_format(empty)


def test_extensions_have_their_full_name() -> None:
    message: Any = GetMessageClass(OLD_KINDS)(required_number=1)
    message.Extensions[OLD_FILE.extensions_by_name["extra_number"]] = 2**40
    message.Extensions[OLD_FILE.extensions_by_name["extra_kinds"]].add(required_number=2)
    assert _as_bytes(message) == _as_json_format(message)
    assert b'"[old_kinds.v1.extra_number]":"1099511627776"' in _as_bytes(message)


def test_any_holds_messages_of_its_own_pool() -> None:
    kinds: Any = GetMessageClass(KINDS)
    inner, message = kinds(a_string="x", an_int64=1), kinds()
    message.any.Pack(inner)
    assert _as_bytes(message) == _as_json_format(message)
    assert b'"@type":"type.googleapis.com/kinds.v1.Kinds"' in _as_bytes(message)


@pytest.mark.parametrize("number", [1e16, 1e22, 1.5e-7, 1e-5, -0.0, 5e-324, 2**53 + 0.0, 0.1])
def test_numbers_are_spelled_as_python_does(number: float) -> None:
    message: Any = GetMessageClass(KINDS)(a_double=number)
    assert f'"aDouble":{number!r}'.encode() in _as_bytes(message)
    assert _as_bytes(message) == _as_json_format(message)


def _read(message: Descriptor, text: str) -> tuple[Any, str]:
    """What we read, or why not."""
    result = GetMessageClass(message)()
    try:
        reader(message)(result, json.loads(text), "", 0)
    except InvalidArgument as error:
        return None, error.violations[0][1]
    return result, ""


def _parse(message: Descriptor, text: str) -> Any:
    return json_format.Parse(text, GetMessageClass(message)(), descriptor_pool=message.file.pool)


def _wire(message: Any) -> bytes:
    # Unlike ==, this knows NaN and -0.0.
    wire: bytes = message.SerializeToString(deterministic=True)
    return wire


@settings(max_examples=600, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(st.data(), st.booleans())
def test_what_json_format_writes_is_read_as_json_format_reads_it(data: st.DataObject, by_proto_name: bool) -> None:
    message = data.draw(messages(data.draw(st.sampled_from([*OURS, *[KINDS] * len(OURS)]))))
    text = json_format.MessageToJson(
        message, preserving_proto_field_name=by_proto_name, descriptor_pool=message.DESCRIPTOR.file.pool
    )
    read, refusal = _read(message.DESCRIPTOR, text)
    if read is not None:
        assert _wire(read) == _wire(_parse(message.DESCRIPTOR, text))
    elif not refusal.startswith("must be one of "):  # an enum's number without a name, which json_format takes
        # It does not read all that it writes: the shortest form of the largest float is larger.
        with pytest.raises(json_format.ParseError):
            _parse(message.DESCRIPTOR, text)


@settings(max_examples=1200, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large], deadline=None)
@given(nearly(KINDS))
def test_what_we_accept_json_format_accepts_as_the_same(document: dict[str, object]) -> None:
    text = json.dumps(document)
    read, refusal = _read(KINDS, text)
    if read is None:
        assert refusal
        return
    try:
        parsed = _parse(KINDS, text)
    except json_format.ParseError as error:
        # The one thing that only we accept: a mask as the proto spells its fields.
        if 'must not contain "_"' not in str(error):
            raise
    else:
        assert _wire(read) == _wire(parsed)


def _impossible() -> list[Any]:
    kinds: Any = GetMessageClass(KINDS)
    late, early, nanos, infinite, unknown, broken = (kinds() for _ in range(6))
    late.time.seconds = 253402300800
    early.time.seconds = -62135596801
    nanos.time.nanos = -1
    infinite.value.number_value = float("inf")
    unknown.any.type_url = "type.googleapis.com/nowhere.Thing"
    broken.mask.paths.append("A.b")
    return [late, early, nanos, infinite, unknown, broken]


@pytest.mark.parametrize("message", _impossible(), ids=["late", "early", "nanos", "infinite", "unknown", "mask"])
def test_what_has_no_json_form_is_an_error_in_both(message: Any) -> None:
    with pytest.raises(ValueError):
        _as_bytes(message)
    with pytest.raises((json_format.Error, TypeError)):
        _as_json_format(message)
