"""Any message of any type, for Hypothesis."""

from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
# Seconds of the years 1 and 9999.
TIMES = st.integers(-62135596800, 253402300799)
NANOS = st.one_of(st.just(0), st.sampled_from([500_000_000, 1_000, 123_456_789]), st.integers(0, 10**9 - 1))
INTEGERS = {
    FieldDescriptor.CPPTYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.CPPTYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.CPPTYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.CPPTYPE_UINT64: st.integers(0, 2**64 - 1),
}
PATHS = st.lists(st.sampled_from(["display_name", "etag", "a.b_c"]), max_size=3)


def message_types(file: Any) -> list[Descriptor]:
    """Every message of a file, with those inside others; entries of maps are no messages of their own."""
    found, rest = [], list(file.message_types_by_name.values())
    while rest:
        message = rest.pop()
        rest += message.nested_types
        if not message.GetOptions().map_entry:
            found.append(message)
    return found


@st.composite
def messages(draw: st.DrawFn, message: Descriptor) -> Any:
    """A message with any of its fields set."""
    result = GetMessageClass(message)()
    _fill(draw, result, 2)
    return result


# JSON that is nearly right for some field or other.
NEARLY = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**65), 2**65),
        st.sampled_from([0, 1, -1, 2**31, 2**32, 2**63, 10**400]),
        st.floats(),
        st.sampled_from(
            ["", "0", "1", "01", "-1", "+1", " 1", "1.0", "1e2", "1e999", "0x1", "NaN", "-Infinity", "Infinity", "true"]
        ),
        st.sampled_from(["RED", "red", "COLOUR_UNSPECIFIED", "NULL_VALUE", "AA==", "_-8", "A", "A A=", "\ud800", "ä"]),
        st.sampled_from(
            [
                "2026-03-29T02:30:00Z",
                "2026-03-29T02:30:00.123456789+02:00",
                "2026-03-29t02:30:00Z",
                "2026-03-29T02:30:60Z",
                "0001-01-01T00:00:00+23:59",
                "2026-03-29T24:00:00Z",
                "2026-03-29",
                "2026-03-29T02:30:00+99:99",
                "1.5s",
                "-0.5s",
                "315576000001s",
                "1 s",
                "displayName",
                "a.bC,d",
                "a,,b",
                "A",
                "a-b",
            ]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=2),
        st.dictionaries(st.sampled_from(["a", "1", "-1", "true", "value", "aString", "kinds"]), inner, max_size=2),
        st.fixed_dictionaries(
            {
                "@type": st.sampled_from(
                    [
                        "type.googleapis.com/kinds.v1.Kinds",
                        "x/google.protobuf.Timestamp",
                        "/google.protobuf.Value",
                        "nowhere",
                        "",
                    ]
                )
            },
            optional={"value": inner, "aString": inner},
        ),
    ),
    max_leaves=4,
)


@st.composite
def nearly(draw: st.DrawFn, message: Descriptor) -> dict[str, object]:
    """A JSON document whose names are mostly right and whose values are often not."""
    document: dict[str, object] = {}
    for field in draw(st.lists(st.sampled_from(list(message.fields)), min_size=1, max_size=2)):
        value = draw(NEARLY)
        if field.is_repeated and value is None:
            value = []  # json_format fails on null for a list of Value
        if field.is_repeated and draw(st.booleans()):
            is_map = field.message_type and field.message_type.GetOptions().map_entry
            value = {draw(st.sampled_from(["1", "true", "-1", "x"])): value} if is_map else [value]
        document[draw(st.sampled_from([field.json_name, field.name]))] = value
    return document


def _fill(draw: st.DrawFn, message: Any, depth: int) -> None:
    kind = message.DESCRIPTOR.full_name
    message.SetInParent()
    if kind == "google.protobuf.Timestamp":
        message.seconds, message.nanos = draw(TIMES), draw(NANOS)
    elif kind == "google.protobuf.Duration":
        sign = draw(st.sampled_from([1, -1]))
        message.seconds, message.nanos = sign * draw(st.integers(0, 315576000000)), sign * draw(NANOS)
    elif kind == "google.protobuf.FieldMask":
        message.paths.extend(draw(PATHS))
    elif kind == "google.protobuf.Any":
        _fill_any(draw, message, depth)
    elif kind == "google.protobuf.Value":
        _fill_value(draw, message, depth)
    else:
        _fill_fields(draw, message, depth)


def _fill_fields(draw: st.DrawFn, message: Any, depth: int) -> None:
    fields = [field for field in message.DESCRIPTOR.fields if depth or not field.message_type]
    if not fields:
        return
    for field in draw(st.lists(st.sampled_from(fields), unique_by=lambda field: field.name, max_size=8)):
        if field.is_repeated:
            for _ in range(draw(st.integers(1, 2))):
                _add(draw, getattr(message, field.name), field, depth)
        elif field.message_type:
            _fill(draw, getattr(message, field.name), depth - 1)
        else:
            setattr(message, field.name, draw(scalars(field)))


def _add(draw: st.DrawFn, values: Any, field: FieldDescriptor, depth: int) -> None:
    if field.message_type and field.message_type.GetOptions().map_entry:
        key_field, value_field = (field.message_type.fields_by_name[name] for name in ("key", "value"))
        key = draw(scalars(key_field))
        if value_field.message_type:
            _fill(draw, values[key], depth - 1)
        else:
            values[key] = draw(scalars(value_field))
    elif field.message_type:
        _fill(draw, values.add(), depth - 1)
    else:
        values.append(draw(scalars(field)))


def _fill_any(draw: st.DrawFn, message: Any, depth: int) -> None:
    pool = message.DESCRIPTOR.file.pool
    kinds = ["google.protobuf.Timestamp", "google.protobuf.Duration"]
    inner = GetMessageClass(pool.FindMessageTypeByName(draw(st.sampled_from(kinds))))()
    _fill(draw, inner, depth - 1)
    message.type_url = f"type.googleapis.com/{inner.DESCRIPTOR.full_name}"
    message.value = inner.SerializeToString()


def _fill_value(draw: st.DrawFn, message: Any, depth: int) -> None:
    match draw(st.integers(0, 5 if depth > 0 else 3)):
        case 0:
            message.null_value = 0
        case 1:
            message.number_value = draw(st.floats(allow_nan=False, allow_infinity=False))
        case 2:
            message.string_value = draw(TEXT)
        case 3:
            message.bool_value = draw(st.booleans())
        case 4:
            message.struct_value.SetInParent()
            _fill_value(draw, message.struct_value.fields[draw(TEXT)], depth - 1)
        case 5:
            message.list_value.SetInParent()
            _fill_value(draw, message.list_value.values.add(), depth - 1)


def scalars(field: FieldDescriptor) -> st.SearchStrategy[Any]:
    """Values of a field that is no message; numbers beyond an open enum's names and floats that are none included."""
    if field.enum_type:
        known = st.sampled_from(sorted(field.enum_type.values_by_number))
        return known if field.enum_type.is_closed else st.one_of(known, st.integers(-(2**31), 2**31 - 1))
    if field.cpp_type == FieldDescriptor.CPPTYPE_BOOL:
        return st.booleans()
    if field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        return st.binary(max_size=8) if field.type == FieldDescriptor.TYPE_BYTES else TEXT
    if field.cpp_type == FieldDescriptor.CPPTYPE_FLOAT:
        return st.floats(width=32)
    return INTEGERS.get(field.cpp_type, st.floats())
