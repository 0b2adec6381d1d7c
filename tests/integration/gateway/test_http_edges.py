"""What stands around the API: limits, other sites, caches, compression, and connections that misbehave."""

import asyncio
import json
import re
from typing import Any

import httpx
import pytest

from gateway import protocol
from tests.integration.gateway.archive import Open
from tests.integration.gateway.house import BOOKINGS, STUDIO, House, open_house

KEY = {"authorization": "Bearer key-1"}
SESSIONS = f"/v1/studios/{STUDIO}/bookableSessions"
CLIENTS = f"/v1/studios/{STUDIO}/clients"
STRANGER = "https://other.example"
SIGN_IN = {"email": "a@b.c", "password": "right"}


def _reason(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["details"][0]["reason"])


@pytest.fixture
async def limited(certificates: Any) -> Any:
    """A gateway that allows two requests a second, and eight at once."""
    extra = {"POWERHOUSE_RATE_LIMIT": "2", "POWERHOUSE_PUBLIC_RATE_LIMIT": "2", "POWERHOUSE_CORS_ORIGINS": STRANGER}
    async with open_house(certificates, extra) as house:
        yield house


async def test_a_stranger_who_asks_too_often_must_wait(limited: House) -> None:
    answers = [await limited.client.post("/v1/accounts:signIn", json=SIGN_IN) for _ in range(12)]
    assert [answer.status_code for answer in answers[:8]] == [200] * 8
    refused = answers[-1]
    assert (refused.status_code, _reason(refused), refused.headers["retry-after"]) == (429, "RATE_LIMITED", "1")


async def test_callers_are_limited_each_on_their_own(limited: House) -> None:
    one, other = limited.sign_in("one"), limited.sign_in("other")
    # The first answer tells that the session is known; it counts as a stranger's.
    statuses = [(await limited.client.get("/v1/accounts/me", headers=one)).status_code for _ in range(12)]
    assert (statuses[:9], statuses[-1]) == ([200] * 9, 429)
    assert (await limited.client.get("/v1/accounts/me", headers=other)).status_code == 200


async def test_made_up_credentials_count_as_a_stranger(limited: House) -> None:
    answers = [
        await limited.client.get("/v1/accounts/me", headers={"authorization": f"Bearer guess-{number}"})
        for number in range(12)
    ]
    assert (answers[0].status_code, answers[-1].status_code) == (401, 429)
    assert len(limited.identity.exchanges) < 12


async def test_a_page_of_an_allowed_site_may_ask(limited: House) -> None:
    limited.sign_in("key-1")
    preflight = await limited.client.options(
        BOOKINGS,
        headers={
            "origin": STRANGER,
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,idempotency-key,content-type",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == STRANGER
    assert "access-control-allow-credentials" not in preflight.headers
    answer = await limited.client.post(
        BOOKINGS, json={"classSession": "x"}, headers={**KEY, "origin": STRANGER, "idempotency-key": "k"}
    )
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (200, STRANGER)
    assert "ETag" in answer.headers["access-control-expose-headers"]
    foreign = await limited.client.get(BOOKINGS, headers={**KEY, "origin": "https://evil.example"})
    assert "access-control-allow-origin" not in foreign.headers


async def test_no_other_site_is_allowed_by_default(house: House) -> None:
    answer = await house.client.options(BOOKINGS, headers={"origin": STRANGER, "access-control-request-method": "POST"})
    assert answer.status_code == 405
    assert not [name for name in answer.headers if name.startswith("access-control")]


async def test_what_has_not_changed_is_not_sent_again(house: House) -> None:
    house.sign_in("key-1")
    first = await house.client.get(SESSIONS, headers=KEY)
    assert first.headers["cache-control"] == "private, no-cache"
    assert {"Authorization", "Cookie"} <= set(first.headers["vary"].split(", "))
    etag = first.headers["etag"]
    for given in (etag, etag.removeprefix("W/"), f'"x", {etag}', "*"):
        again = await house.client.get(SESSIONS, headers={**KEY, "if-none-match": given})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", etag)
        assert "content-length" not in again.headers
    house.booking.sessions.bookable_sessions.add(capacity=3)
    again = await house.client.get(SESSIONS, headers={**KEY, "if-none-match": etag})
    assert again.status_code == 200
    assert again.headers["etag"] != etag


async def test_personal_answers_are_not_kept(house: House) -> None:
    house.sign_in("key-1")
    answer = await house.client.get(CLIENTS, headers=KEY)
    assert answer.status_code == 200, answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" in answer.headers
    for answer in (
        await house.client.post(BOOKINGS, json={"classSession": "x"}, headers={**KEY, "idempotency-key": "k"}),
        await house.client.get("/v1/nowhere"),
    ):
        assert answer.headers["cache-control"] == "no-store"
        assert "etag" not in answer.headers


async def test_long_json_is_compressed_for_who_takes_it(house: House) -> None:
    house.sign_in("key-1")
    plain = {**KEY, "accept-encoding": "identity"}
    packed = {**KEY, "accept-encoding": "br, gzip"}
    assert "content-encoding" not in (await house.client.get(SESSIONS, headers=packed)).headers
    for number in range(20):
        house.booking.sessions.bookable_sessions.add(class_session=f"studios/x/classSessions/{number}")
    long, short = [await house.client.get(SESSIONS, headers=headers) for headers in (plain, packed)]
    assert "content-encoding" not in long.headers
    assert short.headers["content-encoding"] == "gzip"
    assert "Accept-Encoding" in short.headers["vary"]
    assert int(short.headers["content-length"]) < len(long.content) / 3
    assert short.json() == long.json()
    assert short.headers["etag"] == long.headers["etag"]


async def test_streams_are_not_compressed(archive: Open) -> None:
    for accept in ("text/event-stream", "*/*"):
        answer = await archive.client.get(
            "/v1/shelves/1:watch", params={"count": 100}, headers={"accept": accept, "accept-encoding": "gzip"}
        )
        assert len(answer.content) > 2000
        assert "content-encoding" not in answer.headers


async def test_one_caller_opens_only_so_many_streams(archive: Open) -> None:
    async def watch() -> int:
        params: dict[str, str | int] = {"count": 1, "end": "hang"}
        async with archive.client.stream("GET", "/v1/shelves/1:watch", params=params) as answer:
            if answer.status_code == 200:
                await asyncio.sleep(1)
            return answer.status_code

    statuses = await asyncio.gather(*(watch() for _ in range(25)))
    assert sorted(statuses) == [200] * 20 + [429] * 5
    await archive.archive.rested()
    assert await watch() == 200


async def _exchange(port: int, request: bytes, within: float = 30) -> tuple[int, dict[str, Any]]:
    """Status and JSON of what a connection answers before it is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await asyncio.wait_for(reader.read(), within)
    writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    assert re.search(rb"^connection: close", head, re.IGNORECASE | re.MULTILINE)
    document: dict[str, Any] = json.loads(body)["error"]
    return int(answer.split(b" ", 2)[1]), document


@pytest.mark.parametrize(
    ("flood", "reason"),
    [
        (b"GET /" + b"x" * 200_000, "HEADERS_TOO_LARGE"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Junk: " + b"x" * 200_000, "HEADERS_TOO_LARGE"),
        (b"GET / HTTP/1.1\r\n" + b"X-Junk: y\r\n" * 20_000, "HEADERS_TOO_LARGE"),
    ],
)
async def test_a_flood_of_headers_is_cut_off(archive: Open, flood: bytes, reason: str) -> None:
    status, error = await _exchange(archive.port, flood)
    assert (status, error["code"], error["details"][0]["reason"]) == (431, 431, reason)


@pytest.mark.parametrize(
    "nonsense", [b"\x16\x03\x01\x02\x00", b"NONSENSE\r\n\r\n", b"GET / HTTP/1.1\r\nHost x\r\n\r\n"]
)
async def test_what_is_not_http_is_said_so(archive: Open, nonsense: bytes) -> None:
    status, error = await _exchange(archive.port, nonsense)
    assert (status, error["details"][0]["reason"]) == (400, "MALFORMED_HTTP")


async def test_slow_headers_are_not_waited_for(archive: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "HEAD_TIMEOUT", 0.3)
    status, error = await _exchange(archive.port, b"GET /v1/x HTTP/1.1\r\nHost: x\r\nX-Slow: ")
    assert (status, error["details"][0]["reason"]) == (408, "HEADERS_TOO_SLOW")
    reader, writer = await asyncio.open_connection("127.0.0.1", archive.port)
    assert await asyncio.wait_for(reader.read(), 30) == b""
    writer.close()


async def test_the_document_is_compressed_too(house: House) -> None:
    answer = await house.client.get("/openapi.json", headers={"accept-encoding": "gzip"})
    assert answer.headers["content-encoding"] == "gzip"
