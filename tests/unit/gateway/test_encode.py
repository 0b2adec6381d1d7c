import json

from google.protobuf import any_pb2, message_factory
from google.rpc import code_pb2, error_details_pb2, status_pb2

from gateway.transcoding.bindings import Binding, Router
from gateway.transcoding.encode import encode_error, encode_response
from gateway.transcoding.errors import HTTP_STATUS
from services.chassis.errors import InvalidArgument
from services.chassis.rpc.status import to_status


def _binding(router: Router, method: str) -> Binding:
    return next(binding for binding in router.bindings if binding.method.name == method)


def test_json_is_camel_case_with_every_field_and_long_integers_as_strings(router: Router) -> None:
    binding = _binding(router, "GetBook")
    body, content_type = encode_response(binding, binding.response_class(copies=2**60, genre=1))
    document = json.loads(body)
    assert content_type == "application/json"
    assert document["copies"] == str(2**60)
    assert document["genre"] == "NOVEL"
    assert (document["displayName"], document["tags"], document["places"]) == ("", [], {})
    assert not {"author", "subtitle", "owner", "publishTime"} & document.keys()


def test_fields_can_be_kept_out(router: Router) -> None:
    binding = _binding(router, "GetBook")
    body, _ = encode_response(binding, binding.response_class(display_name="secret"), frozenset({"display_name"}))
    assert "displayName" not in json.loads(body)
    assert b"secret" not in body


def test_response_body_is_the_named_field(router: Router) -> None:
    binding = _binding(router, "SearchBooks")
    assert encode_response(binding, binding.response_class())[0] == b"[]"


def test_a_raw_answer_passes_as_it_is(router: Router) -> None:
    binding = _binding(router, "UploadCover")
    raw = message_factory.GetMessageClass(binding.method.output_type)
    assert encode_response(binding, raw(content_type="image/png", data=b"\x00")) == (b"\x00", "image/png")
    assert encode_response(binding, raw())[1] == "application/octet-stream"


def test_an_error_has_the_form_of_aip_193() -> None:
    error = to_status(InvalidArgument("book.pages", "must be a whole number"))
    assert json.loads(encode_error(error, 400)) == {
        "error": {
            "code": 400,
            "status": "INVALID_ARGUMENT",
            "message": "book.pages: must be a whole number",
            "details": [
                {
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "reason": "INVALID_FIELD",
                    "domain": "powerhouse.studio",
                },
                {
                    "@type": "type.googleapis.com/google.rpc.BadRequest",
                    "fieldViolations": [{"field": "book.pages", "description": "must be a whole number"}],
                },
            ],
        }
    }


def test_an_error_detail_nobody_knows_is_left_out() -> None:
    status = status_pb2.Status(code=99, message="?")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason="KNOWN"))
    status.details.append(any_pb2.Any(type_url="type.googleapis.com/foreign.Thing", value=b"\xff"))
    status.details.append(any_pb2.Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\xff"))
    error = json.loads(encode_error(status, 500))["error"]
    assert error["status"] == "UNKNOWN"
    assert [detail.get("reason") for detail in error["details"]] == ["KNOWN"]


def test_every_code_has_an_http_status() -> None:
    assert set(HTTP_STATUS) == set(code_pb2.Code.values())
