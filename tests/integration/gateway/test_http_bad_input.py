"""Everything that may arrive and must not: each a 4xx that says what and where, and nothing of it reaches a service."""

import asyncio
import json
from typing import Any

import pytest

from gateway import bodies
from tests.integration.gateway.archive import Open
from tests.integration.gateway.house import BOOKINGS, House

JSON = {"authorization": "Bearer key-1", "idempotency-key": "k-1", "content-type": "application/json"}
BOOK = "/v1/shelves/1/books"


@pytest.fixture(autouse=True)
def signed_in(request: pytest.FixtureRequest) -> None:
    if "house" in request.fixturenames:
        request.getfixturevalue("house").sign_in("key-1")


def _where(error: dict[str, Any]) -> str:
    """The field that an error names."""
    violations = [violation for detail in error["details"] for violation in detail.get("fieldViolations", [])]
    return str(violations[0]["field"])


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("colour=red", "colour"),
        ("booking.spot=a", "booking.spot"),
        ("requestId=a&requestId=b", "request_id"),
        ("requestId=a&request_id=b", "request_id"),
        ("requestId=%zz", "requestId"),
        ("requestId=%", "requestId"),
        ("%ff=1", "query"),
        ("requestId=%c3%28", "requestId"),
        ("&".join(f"x{number}=1" for number in range(201)), "query"),
    ],
)
async def test_a_query_that_does_not_fit(house: House, query: str, where: str) -> None:
    answer = await house.client.post(f"{BOOKINGS}?{query}", content=b'{"classSession": "x"}', headers=JSON)
    error = answer.json()["error"]
    assert (answer.status_code, error["status"], _where(error)) == (400, "INVALID_ARGUMENT", where)
    assert not house.booking.requests


@pytest.mark.parametrize("path", ["/v1/%zz", "/v1/studios/%", "/v1/%c3%28", "/v1/%ff"])
async def test_a_path_that_cannot_be_decoded(house: House, path: str) -> None:
    # httpx would mend the path.
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [],
        "client": ("127.0.0.1", 1),
        "scheme": "https",
        "server": ("x", 1),
        "http_version": "1.1",
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    transport: Any = house.client._transport
    await transport.app(scope, receive, send)
    assert sent[0]["status"] == 400
    assert _where(json.loads(sent[1]["body"])["error"]) == "path"


DEEP = b'{"author": ' + b'{"teacher": ' * 100 + b"{}" + b"}" * 100 + b"}"


@pytest.mark.parametrize(
    ("body", "where", "what"),
    [
        (b'{"colour": 1}', "book.colour", "no such field"),
        (b'{"author": {"teacher": {"born": 1}}}', "book.author.teacher.born", "no such field"),
        (b'{"contributors": [{}, {"born": 1}]}', "book.contributors[1].born", "no such field"),
        (b'{"pages": 1, "pages": 1}', "pages", "is given twice"),
        (b'{"author": {"displayName": "a", "displayName": "b"}}', "displayName", "is given twice"),
        (b'{"displayName": "a", "display_name": "b"}', "book.display_name", "is given twice"),
        (b'{"owner": "a", "donor": "b"}', "book.donor", "cannot be given together with owner"),
        (DEEP, "book.author" + ".teacher" * 31, "is nested deeper than 32 levels"),
        (
            b'{"extra": ' + b'{"a": ' * 40 + b"1" + b"}" * 41,
            "book.extra" + ".a" * 31,
            "is nested deeper than 32 levels",
        ),
        (b"[" * 1_000_000, "body", "is nested deeper than 32 levels"),
        (b'{"a":' * 200_000, "body", "is nested deeper than 32 levels"),
        (b'{"weight": NaN}', "book.weight", "must be a number"),
        (b'{"weight": -Infinity}', "book.weight", "is too large a number"),
        (b'{"extra": {"a": [NaN]}}', "book.extra.a[0]", "must be a number"),
        (b'{"extra": {"a": Infinity}}', "book.extra.a", "is too large a number"),
        (b'{"extra": {"a": 1' + b"0" * 400 + b"}}", "book.extra.a", "is too large a number"),
        (b'{"weight": 1e999}', "book.weight", "is too large a number"),
        (b'{"height": 1e39}', "book.height", "is too large a number"),
        (b'{"pages": 2147483648}', "book.pages", "must be between -2147483648 and 2147483647"),
        (b'{"copies": "9223372036854775808"}', "book.copies", None),
        (b'{"pages": 1' + b"0" * 5000 + b"}", "body", "has a number with too many digits"),
        (b'{"displayName": "\\ud800"}', "book.display_name", "has half of a surrogate pair"),
        (b'{"displayName": "\xff"}', "body", "is not UTF-8 (byte 17)"),
        (b'\xef\xbb\xbf{"pages": 1}', "body", "is not JSON: line 1, column 1"),
        (b'{"pages": 1}}', "body", "is not JSON: line 1, column 13"),
        (b'{"pages": 1,}', "body", None),
        (b"{'pages': 1}", "body", "is not JSON: line 1, column 2"),
        (b'{"pages": 01}', "body", None),
        (b"\x00", "body", "is not JSON: line 1, column 1"),
        (b"null", "body", None),
    ],
    ids=range(30),
)
async def test_a_body_that_does_not_fit(house: House, body: bytes, where: str, what: str | None) -> None:
    answer = await house.client.post(BOOK, content=body, headers=JSON)
    if body == b"null":
        # Nothing is wrong with it: the book is not given.
        assert answer.status_code != 400
        return
    error = answer.json()["error"]
    assert (answer.status_code, error["status"], _where(error)) == (400, "INVALID_ARGUMENT", where)
    assert what is None or what in error["message"]
    assert len(answer.content) < 3000


@pytest.mark.parametrize(
    ("headers", "status", "reason"),
    [
        ({"content-type": "text/plain"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": "multipart/form-data; boundary=x"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-encoding": "gzip"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"content-type": "application/json; charset=utf-16"}, 415, "UNSUPPORTED_MEDIA_TYPE"),
        ({"x-request-timeout": "1e9"}, 400, "INVALID_FIELD"),
        ({"authorization": "Bearer "}, 401, "API_KEY_INVALID"),
        ({"x-junk": "x" * 40_000}, 431, "HEADERS_TOO_LARGE"),
        ({f"x-junk-{number}": "x" * 300 for number in range(150)}, 431, "HEADERS_TOO_LARGE"),
        ({"idempotency-key": "k" * 129}, 400, "INVALID_FIELD"),
    ],
)
async def test_headers_that_do_not_fit(house: House, headers: dict[str, str], status: int, reason: str) -> None:
    answer = await house.client.post(BOOKINGS, content=b'{"classSession": "x"}', headers={**JSON, **headers})
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["details"][0]["reason"]) == (status, status, reason)
    assert not house.booking.requests


async def test_what_is_too_large(house: House) -> None:
    async def endless() -> Any:
        while True:
            yield b"[" * 65536

    answer = await house.client.post(BOOKINGS, content=b'"' + b"x" * 2**20 + b'"', headers=JSON)
    assert (answer.status_code, answer.json()["error"]["details"][0]["reason"]) == (413, "BODY_TOO_LARGE")
    answer = await house.client.get(f"{BOOKINGS}?pageToken={'x' * 9000}", headers=JSON)
    assert (answer.status_code, answer.json()["error"]["details"][0]["reason"]) == (414, "URI_TOO_LONG")


async def _status(port: int, request: bytes) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    line = await asyncio.wait_for(reader.readline(), 30)
    writer.close()
    return int(line.split()[1])


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        (b"GET /v1/\xc3\xa4 HTTP/1.1", 400),
        (b"GET /v1/a b HTTP/1.1", 400),
        (b"GET http://[bad/v1 HTTP/1.1", 400),
        (b"OPTIONS * HTTP/1.1", 404),
        (b"CONNECT x:443 HTTP/1.1", 400),
        (b"TRACE /v1/shelves/1:watch HTTP/1.1", 405),
        (b"BREW /v1/shelves/1:watch HTTP/1.1", 400),
        (b"PRI * HTTP/2.0", 400),
        (b"GET //v1 HTTP/1.1", 404),
        (b"GET /v1/../etc/passwd HTTP/1.1", 404),
        (b"GET /v1/shelves%2F1:watch HTTP/1.1", 404),
    ],
)
async def test_requests_that_make_no_sense(archive: Open, request_line: bytes, status: int) -> None:
    assert await _status(archive.port, request_line + b"\r\nHost: x\r\nConnection: close\r\n\r\n") == status


@pytest.mark.parametrize(
    "framing",
    [
        b"Content-Length: -1\r\n",
        b"Content-Length: ten\r\n",
        b"Content-Length: 5\r\nContent-Length: 6\r\n",
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nzz",
    ],
)
async def test_a_body_whose_length_is_in_doubt(archive: Open, framing: bytes) -> None:
    head = b"PUT /v1/scans/1 HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n" + framing + b"\r\n"
    assert await _status(archive.port, head + b"0\r\n\r\n") == 400
    assert not archive.archive.uploaded


async def test_a_body_that_takes_too_long(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_TIMEOUT", 0.2)
    monkeypatch.setattr(bodies, "LINGER", 0.1)

    async def slow() -> Any:
        yield b'{"classSession":'
        await asyncio.sleep(0.5)
        yield b'"x"}'

    answer = await house.client.post(BOOKINGS, content=slow(), headers=JSON)
    assert (answer.status_code, answer.json()["error"]["details"][0]["reason"]) == (408, "BODY_TOO_SLOW")
    assert answer.headers["connection"] == "close"
    assert not house.booking.requests
