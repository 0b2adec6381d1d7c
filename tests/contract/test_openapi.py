"""The OpenAPI document: valid, complete, true to the descriptors, and with examples that keep its own rules."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from google.api import annotations_pb2
from google.protobuf.descriptor import Descriptor
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.openapi.comments import read_comments
from gateway.openapi.document import openapi
from gateway.openapi.errors import named_reasons
from gateway.openapi.examples import Examples
from gateway.openapi.page import IMAGE
from gateway.openapi.resources import Resources
from gateway.openapi.rules import inexpressible
from gateway.openapi.schemas import well_known
from gateway.transcoding.bindings import Router
from gateway.upstreams import CONTRACTS
from powerhouse.booking.v1.booking_pb2 import Booking
from services.chassis.rpc.policy import has_option
from tests.support.contracts import messages, methods
from tests.support.protos import compile_proto

LIBRARY = compile_proto(Path(__file__).parents[1] / "support" / "library.proto").services_by_name["Library"]
BINDINGS = Router(CONTRACTS).bindings
DOCUMENT = openapi(BINDINGS, read_comments(IMAGE.read_bytes()))
FOREIGN = openapi(Router([LIBRARY]).bindings, {})
SCHEMAS = DOCUMENT["components"]["schemas"]


def _operations(document: Any = DOCUMENT) -> Iterator[Any]:
    for path in document["paths"].values():
        yield from path.values()


OPERATIONS = {operation["operationId"]: operation for operation in _operations()}


def _check(value: Any, schema: Any, document: Any) -> None:
    """Raises ValidationError for a value that its schema refuses; references lead into the document."""
    rooted = {**schema, "components": document["components"]}
    Draft202012Validator(rooted, format_checker=FormatChecker()).validate(value)


def _at(document: Any, path: str) -> Any:
    for part in path.removeprefix("#/").split("/"):
        document = document[part]
    return document


@pytest.mark.parametrize("document", [DOCUMENT, FOREIGN], ids=["ours", "foreign"])
def test_it_is_valid(document: Any) -> None:
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def test_every_annotated_method_is_there_once() -> None:
    annotated = {method.name for method in methods() if method.GetOptions().HasExtension(annotations_pb2.http)}
    assert set(OPERATIONS) == annotated
    assert len(list(_operations())) == len(BINDINGS)


@pytest.mark.parametrize("document", [DOCUMENT, FOREIGN], ids=["ours", "foreign"])
def test_every_example_keeps_its_schema(document: Any) -> None:
    checked = 0
    for operation in _operations(document):
        for parameter in operation["parameters"]:
            if "example" in parameter:
                _check(parameter["example"], parameter["schema"], document)
        contents = [answer.get("content", {}) for answer in operation["responses"].values()]
        contents += [operation["requestBody"]["content"]] if "requestBody" in operation else []
        for media in (media for content in contents for media in content.values() if media):
            references = [example["$ref"] for example in media.get("examples", {}).values()]
            for example in (
                [media["example"]] if "example" in media else [_at(document, each)["value"] for each in references]
            ):
                _check(example, media["schema"], document)
                checked += 1
    assert checked > len(list(_operations(document)))


def test_every_text_in_an_example_was_thought_of() -> None:
    """A new field of text needs a word in `gateway/openapi/examples.py` or a resource of its name."""
    examples = Examples(Resources(messages()))
    seen: set[str] = set()
    unknown = []

    def visit(message: Descriptor) -> None:
        if message.full_name in seen or well_known(message) is not None:
            return
        seen.add(message.full_name)
        for field in message.fields:
            shown = field.name not in ("request_id", "page_token") and not has_option(field, "session_cookie")
            if field.message_type:
                visit(field.message_type)
            elif field.type == field.TYPE_STRING and shown and examples.word(field) is None:
                unknown.append(f"{message.name}.{field.name}")

    in_paths = {f"{b.method.input_type.name}.{'.'.join(v.field)}" for b in BINDINGS for v in b.template.variables}
    for binding in BINDINGS:
        visit(binding.method.input_type)
        visit(binding.method.output_type)
    assert set(unknown) - in_paths == set()


def test_every_field_rule_of_a_request_is_shown() -> None:
    hidden = {}
    for binding in BINDINGS:
        for message in _nested(binding.method.input_type, set()):
            hidden |= {
                f"{message.name}.{field.name}": lost for field in message.fields if (lost := inexpressible(field))
            }
    assert hidden == {}


def _nested(message: Descriptor, seen: set[str]) -> Iterator[Descriptor]:
    if message.full_name not in seen:
        seen.add(message.full_name)
        yield message
        for field in message.fields:
            if field.message_type:
                yield from _nested(field.message_type, seen)


def test_a_booking_reads_as_people_expect() -> None:
    operation = OPERATIONS["CreateBooking"]
    assert operation is DOCUMENT["paths"]["/v1/studios/{studio}/bookings"]["post"]
    assert [(each["name"], each["in"]) for each in operation["parameters"]] == [
        ("studio", "path"),
        ("Idempotency-Key", "header"),
    ]
    assert operation["parameters"][1]["schema"] == {"type": "string", "minLength": 1, "maxLength": 128}
    body = operation["requestBody"]
    assert body["required"]
    assert body["content"]["application/json"]["schema"]["$ref"] == "#/components/schemas/NewBooking"
    assert SCHEMAS["NewBooking"]["required"] == ["classSession"]
    assert SCHEMAS["NewBooking"]["properties"]["spot"]["maxLength"] == 40
    assert operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Booking")
    assert "`SESSION_FULL`" in operation["responses"]["400"]["description"]
    assert set(operation["responses"]["409"]["content"]["application/json"]["examples"]) == {
        "ALREADY_BOOKED",
        "GUEST_ALREADY_BOOKED",
        "SPOT_TAKEN",
        "TRY_AGAIN",
    }
    assert operation["security"] == [{"session": [], "csrf": []}, {"apiKey": []}]
    assert operation["tags"] == ["Booking"]
    assert "owner, manager, front desk; client (only what is theirs)" in operation["description"]
    assert SCHEMAS["Booking.State"]["enum"] == list(Booking.State.keys())


def test_field_rules_become_keywords() -> None:
    room, client = SCHEMAS["RoomInput"]["properties"], SCHEMAS["ClientInput"]["properties"]
    assert (room["capacity"]["minimum"], room["capacity"]["maximum"]) == (1, 1000)
    assert (room["spots"]["maxItems"], room["spots"]["uniqueItems"], room["spots"]["items"]["maxLength"]) == (
        1000,
        True,
        40,
    )
    assert client["birthDate"]["pattern"] == "^([0-9]{4}-[0-9]{2}-[0-9]{2})?$"
    assert client["email"]["anyOf"] == [{"type": "string", "maxLength": 254, "format": "email"}, {"const": ""}]
    assert SCHEMAS["NewApiKey"]["properties"]["role"]["enum"] == [
        "ROLE_OWNER",
        "ROLE_MANAGER",
        "ROLE_FRONT_DESK",
        "ROLE_INSTRUCTOR",
    ]
    # Rules are for requests; an answer has types and all of its fields.
    assert "maxLength" not in SCHEMAS["Room"]["properties"]["displayName"]
    assert {"name", "displayName", "spots", "etag"} <= set(SCHEMAS["Room"]["required"])
    assert "archiveTime" not in SCHEMAS["Room"]["required"]


def test_what_only_the_server_sets_is_in_no_request() -> None:
    assert {"createTime", "creditsLeft", "name"}.isdisjoint(SCHEMAS["ClientInput"]["properties"])
    assert SCHEMAS["ClientInput"]["required"] == ["displayName"]
    assert SCHEMAS["ClientInput"]["additionalProperties"] is False


def test_a_patch_takes_part_of_the_resource_and_a_mask_of_its_fields() -> None:
    operation = OPERATIONS["UpdateRoom"]
    assert "required" not in SCHEMAS["RoomPatch"]
    # The location of a room never changes.
    assert set(SCHEMAS["RoomPatch"]["properties"]) == {"displayName", "capacity", "spots", "etag"}
    [mask] = [each for each in operation["parameters"] if each["in"] == "query"]
    assert mask["name"] == "updateMask"
    assert mask["schema"]["pattern"] == "^(displayName|capacity|spots)(,(displayName|capacity|spots))*$"


def test_queries_hold_what_neither_path_nor_body_has() -> None:
    names = [each["name"] for each in OPERATIONS["ListBookableSessions"]["parameters"]]
    assert names == ["studio", "startTime", "endTime", "pageSize", "pageToken", "If-None-Match"]
    [size] = [each for each in OPERATIONS["ListBookings"]["parameters"] if each["name"] == "pageSize"]
    assert size["schema"] == {"type": "integer", "format": "int32", "minimum": 0}
    assert size["description"] == "Default 50, at most 200."
    search = {each["name"]: each for each in FOREIGN["paths"]["/v1/books:search"]["get"]["parameters"]}
    assert "author.teacher.displayName" in search
    assert search["genres"]["schema"] == {"type": "array", "items": {"$ref": "#/components/schemas/Book.Genre"}}


def test_a_read_can_be_asked_about_again() -> None:
    for path, by_method in DOCUMENT["paths"].items():
        for http_method, operation in by_method.items():
            content = operation["responses"]["200"]["content"]
            asked = http_method == "get" and "application/x-ndjson" not in content
            parameters = {(each["name"], each["in"], each.get("required", False)) for each in operation["parameters"]}
            assert (("If-None-Match", "header", False) in parameters) == asked, path
            assert ("ETag" in operation["responses"]["200"]["headers"]) == asked, path
            assert ("304" in operation["responses"]) == asked, path
    unchanged = OPERATIONS["GetStudio"]["responses"]["304"]
    assert "content" not in unchanged
    assert _at(DOCUMENT, unchanged["headers"]["ETag"]["$ref"])["required"]


def test_the_session_is_a_cookie_and_not_in_the_body() -> None:
    answer = OPERATIONS["SignIn"]["responses"]["200"]
    assert {"Set-Cookie", "X-CSRF-Token"} <= set(answer["headers"])
    assert "sessionToken" not in SCHEMAS["SessionResponse"]["properties"]
    assert OPERATIONS["SignIn"]["security"] == []
    assert OPERATIONS["SignOut"]["security"] == [{"session": [], "csrf": []}]
    assert "requestBody" not in OPERATIONS["SignOut"]


def test_comments_say_names_as_json_has_them() -> None:
    listing, booking = OPERATIONS["ListBookableSessions"], OPERATIONS["CreateBooking"]
    assert "in [`startTime`, `endTime`)" in listing["description"]
    assert "`" not in listing["summary"]
    assert "`ALREADY_EXISTS` with `ALREADY_BOOKED`, `GUEST_ALREADY_BOOKED`, `SPOT_TAKEN`" in booking["description"]
    assert "`ABORTED/ETAG_MISMATCH`" in OPERATIONS["CancelBooking"]["description"]
    [token] = [each for each in listing["parameters"] if each["name"] == "pageToken"]
    assert "`nextPageToken`" in token["description"]
    # What a comment marks itself stays as it is.
    spoken = SCHEMAS["NewBooking"]["properties"]["classSession"]["description"]
    assert spoken == "`studios/{studio}/classSessions/{class_session}`."


def test_reasons_are_read_from_comments() -> None:
    comments = {
        "Move": "Moves it. Errors of Create, and ABORTED/ETAG_MISMATCH. IANA is no reason.",
        "Create": "As Move. FAILED_PRECONDITION with FULL_UP, GONE; NOT_FOUND. INVALID_ARGUMENT/BAD_DAY or WORSE.",
    }
    assert named_reasons(comments["Move"], comments.__getitem__) == {
        "ABORTED": ["ETAG_MISMATCH"],
        "FAILED_PRECONDITION": ["FULL_UP", "GONE"],
        "NOT_FOUND": [],
        "INVALID_ARGUMENT": ["BAD_DAY", "WORSE"],
    }


def test_every_operation_says_what_it_does_and_who_may() -> None:
    for name, operation in OPERATIONS.items():
        assert operation["summary"], name
        assert "**Allowed to**" in operation["description"], name
        assert operation["responses"]["default"], name


def test_raw_bodies_and_other_answers_of_foreign_contracts() -> None:
    cover = FOREIGN["paths"]["/v1/shelves/{shelve}/books/{book}/cover"]["put"]
    assert list(cover["requestBody"]["content"]) == list(cover["responses"]["200"]["content"]) == ["*/*"]
    found = FOREIGN["paths"]["/v1/books:search"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert found == {"type": "array", "items": {"$ref": "#/components/schemas/Book"}}
    assert set(FOREIGN["paths"]["/v1/any/{name}"]) == {"get"}
    assert FOREIGN["components"]["schemas"]["Book"]["properties"]["places"]["additionalProperties"]["type"] == "integer"
    assert FOREIGN["components"]["schemas"]["Book"]["properties"]["displayName"] == {"type": "string"}
