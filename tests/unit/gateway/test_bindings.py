from pathlib import Path

import pytest

from gateway.transcoding.bindings import Router, Unbindable
from tests.support.protos import compile_proto

HEAD = """syntax = "proto3";
package bad.v1;
import "google/api/annotations.proto";
message Inner { string id = 1; }
message Request { string name = 1; repeated string tags = 2; Inner inner = 3; }
message Response {}
"""


def _rpc(rule: str, name: str = "A") -> str:
    return f"rpc {name}(Request) returns (Response) {{option (google.api.http) = {rule};}}"


@pytest.mark.parametrize(
    ("methods", "complaint"),
    [
        (
            'rpc A(stream Request) returns (stream Response) {option (google.api.http) = {post: "/v1/a" body: "*"};}',
            "in both directions",
        ),
        (
            'rpc A(stream Request) returns (Response) {option (google.api.http) = {post: "/v1/a" body: "*"};}',
            "only a body of google.api.HttpBody",
        ),
        (_rpc("{}"), "no path"),
        (_rpc('{get: "v1"}'), "must start with"),
        (_rpc('{get: "/v1/{id}"}'), "no field 'id'"),
        (
            _rpc('{get: "/v1/{inner.x}"}'),
            "no field 'inner.x'",
        ),
        (
            _rpc('{get: "/v1/{tags}"}'),
            "repeated field 'tags'",
        ),
        (_rpc('{get: "/v1/{inner}"}'), "message 'inner'"),
        (_rpc('{post: "/v1" body: "x"}'), "no field 'x'"),
        (
            _rpc('{get: "/v1" response_body: "x"}'),
            "field 'x'",
        ),
        (
            _rpc('{get: "/v1/a/{name}"}') + _rpc('{get: "/v1/{name=a/*}"}', name="B"),
            "same route",
        ),
    ],
)
def test_what_cannot_be_served_keeps_the_gateway_from_starting(tmp_path: Path, methods: str, complaint: str) -> None:
    path = tmp_path / "bad.proto"
    path.write_text(f"{HEAD}service Bad {{ {methods} }}")
    with pytest.raises(Unbindable, match=complaint) as caught:
        Router([compile_proto(path).services_by_name["Bad"]])
    assert "bad.v1.Bad" in str(caught.value)


def test_a_custom_method_is_a_route(tmp_path: Path) -> None:
    path = tmp_path / "good.proto"
    rule = _rpc('{custom: {kind: "REPORT" path: "/v1/a"}}')
    path.write_text(f"{HEAD}service Good {{ {rule} }}")
    router = Router([compile_proto(path).services_by_name["Good"]])
    assert router.match("GET", b"/v1/a") == {"REPORT"}


# Request fields for what a sender signed.
HEADERS, URL = "[(powerhouse.policy.v1.http_headers) = true]", "[(powerhouse.policy.v1.http_url) = true]"


@pytest.mark.parametrize(
    ("fields", "body", "complaint"),
    [
        (
            f"map<string, string> headers = 2 {HEADERS}; string url = 3 {URL};",
            "note",
            "with a body of google.api.HttpBody",
        ),
        (f"map<string, string> headers = 2 {HEADERS};", "body", "one field for the headers and one for the address"),
        (f"string url = 3 {URL};", "body", "one field for the headers and one for the address"),
        (f"map<string, int32> headers = 2 {HEADERS}; string url = 3 {URL};", "body", "need a map<string, string>"),
        (f"string headers = 2 {HEADERS}; string url = 3 {URL};", "body", "need a map<string, string>"),
        (f"map<string, string> headers = 2 {HEADERS}; repeated string url = 3 {URL};", "body", "the address a string"),
    ],
)
def test_a_signed_request_needs_room_for_what_was_signed(
    tmp_path: Path, fields: str, body: str, complaint: str
) -> None:
    path = tmp_path / "signed.proto"
    path.write_text(
        f"""syntax = "proto3";
package signed.v1;
import "google/api/annotations.proto";
import "google/api/httpbody.proto";
import "powerhouse/policy/v1/policy.proto";
message Request {{ google.api.HttpBody body = 1; string note = 4; {fields} }}
message Response {{}}
service Bad {{ {_rpc(f'{{post: "/v1/a" body: "{body}"}}')} }}"""
    )
    with pytest.raises(Unbindable, match=complaint):
        Router([compile_proto(path).services_by_name["Bad"]])
