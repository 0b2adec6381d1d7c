"""Streams and blobs in the OpenAPI document."""

from pathlib import Path

from openapi_spec_validator import OpenAPIV31SpecValidator

from gateway.openapi.document import openapi
from gateway.transcoding.bindings import Router
from tests.support.protos import compile_proto

ARCHIVE = compile_proto(Path(__file__).parents[1] / "support" / "archive.proto").services_by_name["Archive"]


def test_streams_say_in_which_forms_they_come() -> None:
    document = openapi(Router([ARCHIVE]).bindings, {})
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []
    watch = document["paths"]["/v1/shelves/{shelve}:watch"]["get"]["responses"]["200"]["content"]
    assert watch["application/x-ndjson"]["schema"] == {"$ref": "#/components/schemas/Note"}
    assert watch["text/event-stream"]["schema"]["type"] == "string"
    scan = document["paths"]["/v1/scans/{scan}"]
    assert list(scan["get"]["responses"]["200"]["content"]) == ["*/*"]
    assert list(scan["put"]["requestBody"]["content"]) == ["*/*"]
    # A note that was told is told; a scan may be one that its reader has.
    assert "304" not in document["paths"]["/v1/shelves/{shelve}:watch"]["get"]["responses"]
    assert "304" in scan["get"]["responses"]
    assert "required" not in scan["get"]["responses"]["200"]["headers"]["ETag"]
    assert "304" not in scan["put"]["responses"]
