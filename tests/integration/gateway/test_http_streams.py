"""Streams over real sockets: their forms, their ends, and that no call outlives its reader."""

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest

from gateway import bodies, streams
from tests.integration.gateway.archive import MAX_SCAN, PIECE, Open

WATCH = "/v1/shelves/1:watch"
SSE = {"accept": "text/event-stream"}
PNG = {"content-type": "image/png"}


async def test_lines_are_the_default(archive: Open) -> None:
    answer = await archive.client.get(WATCH, params={"count": 3})
    assert answer.headers["content-type"] == "application/x-ndjson"
    assert [json.loads(line) for line in answer.text.splitlines()] == [
        {"text": "ä\n", "number": number} for number in range(3)
    ]
    assert (await archive.client.get(WATCH)).content == b""


async def test_events_carry_their_id(archive: Open) -> None:
    answer = await archive.client.get(WATCH, params={"count": 2}, headers=SSE)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.text.split("\n\n") == [
        "retry: 1000",
        'id: v0\ndata: {"text":"ä\\n","number":0}',
        'id: v1\ndata: {"text":"ä\\n","number":1}',
        "",
    ]


async def test_who_comes_back_is_not_told_again_what_they_know(archive: Open) -> None:
    answer = await archive.client.get(WATCH, params={"count": 2}, headers={**SSE, "last-event-id": "v0"})
    assert answer.text.split("\n\n")[1:3] == [": heartbeat", 'id: v1\ndata: {"text":"ä\\n","number":1}']


async def test_a_silent_stream_shows_that_it_lives(archive: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT", 0.1)
    answer = await archive.client.get(WATCH, params={"count": 2, "gapMs": 350}, headers=SSE)
    assert answer.text.count(": heartbeat\n\n") >= 4
    assert answer.text.count("data: ") == 2


async def test_an_early_error_is_a_status_and_a_late_one_the_last_word(archive: Open) -> None:
    early = await archive.client.get(WATCH, params={"end": "fail"}, headers=SSE)
    assert (early.status_code, early.headers["content-type"]) == (400, "application/json")
    assert early.json()["error"]["details"][0]["reason"] == "SHELF_GONE"
    late = await archive.client.get(WATCH, params={"count": 1, "end": "fail"})
    lines = late.text.splitlines()
    assert (late.status_code, len(lines)) == (200, 2)
    assert json.loads(lines[1])["error"]["status"] == "FAILED_PRECONDITION"
    late = await archive.client.get(WATCH, params={"count": 1, "end": "fail"}, headers=SSE)
    assert late.text.split("\n\n")[2].startswith('event: error\ndata: {"error":{"code":400,')


async def test_the_deadline_ends_a_stream(archive: Open) -> None:
    headers = {"x-request-timeout": "0.4"}
    answer = await archive.client.get(WATCH, params={"count": 1, "end": "hang"}, headers=headers)
    assert json.loads(answer.text.splitlines()[-1])["error"]["status"] == "DEADLINE_EXCEEDED"
    await archive.archive.rested()
    before = await archive.client.get(WATCH, params={"end": "hang"}, headers=headers)
    assert before.status_code == 504


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*"])
async def test_a_reader_who_goes_away_takes_the_call_along(archive: Open, accept: str) -> None:
    params = {"count": 10_000, "gapMs": 20}
    for _ in range(3):
        async with archive.client.stream("GET", WATCH, params=params, headers={"accept": accept}) as answer:
            await anext(answer.aiter_bytes())
            assert archive.archive.running
    await archive.archive.rested()
    sent = archive.archive.sent
    await asyncio.sleep(0.2)
    assert archive.archive.sent == sent


async def test_streams_end_when_the_process_is_about_to(archive: Open) -> None:
    async with archive.client.stream("GET", WATCH, params={"count": 1, "end": "hang"}, headers=SSE) as answer:
        text = answer.aiter_text()
        await anext(text)
        archive.upstreams.ending.set()
        rest = "".join([part async for part in text])
    assert "error" not in rest
    await archive.archive.rested()


async def test_head_opens_no_stream(archive: Open) -> None:
    answer = await archive.client.head(WATCH, params={"count": 1, "end": "hang"})
    assert (answer.status_code, answer.content) == (200, b"")
    await archive.archive.rested()


async def test_a_blob_comes_down_in_pieces(archive: Open) -> None:
    answer = await archive.client.get("/v1/scans/1", params={"pieces": 20})
    assert answer.headers["content-type"] == "image/png"
    assert answer.content == PIECE * 20


async def test_a_slow_reader_holds_back_the_service(archive: Open) -> None:
    async with archive.client.stream("GET", "/v1/scans/1", params={"pieces": 2000}) as answer:
        await anext(answer.aiter_raw())
        await asyncio.sleep(0.5)
        # 2000 pieces are 128 MiB; what is under way is what sockets and gRPC's window hold.
        assert archive.archive.sent < 400
    await archive.archive.rested()


async def test_a_blob_that_breaks_off_does_not_look_whole(archive: Open) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await archive.client.get("/v1/scans/1", params={"pieces": 2, "end": "fail"})


async def test_a_blob_that_is_known_already_is_not_sent_again(archive: Open) -> None:
    first = await archive.client.get("/v1/scans/1", params={"pieces": 2, "end": "etag"})
    assert first.headers["etag"] == '"abc"'
    again = await archive.client.get(
        "/v1/scans/1", params={"pieces": 2, "end": "etag"}, headers={"if-none-match": 'W/"x", "abc"'}
    )
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", '"abc"')
    await archive.archive.rested()


async def test_a_blob_goes_up_in_pieces(archive: Open) -> None:
    async def content() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield PIECE

    answer = await archive.client.put("/v1/scans/7", content=content(), headers=PNG)
    assert answer.status_code == 200, answer.text
    scan = answer.json()
    assert (scan["name"], scan["size"], scan["contentType"]) == ("scans/7", str(40 * len(PIECE)), "image/png")
    assert scan["messages"] > 10
    empty = await archive.client.put("/v1/scans/7", headers=PNG)
    assert empty.json()["size"] == "0"


async def test_an_upload_that_is_refused_is_answered_before_its_end(archive: Open) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", archive.port)
    head = b"PUT /v1/scans/7 HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head)
    # Three times what is taken, and no end.
    for _ in range(3 * MAX_SCAN // len(PIECE)):
        writer.write(b"%x\r\n%s\r\n" % (len(PIECE), PIECE))
        await writer.drain()
    answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
    assert b" 400 " in answer
    assert b"connection: close" in answer.lower()
    assert archive.archive.received <= MAX_SCAN + 4 * len(PIECE)
    assert b"SCAN_TOO_LARGE" in await asyncio.wait_for(reader.read(), 30)
    writer.close()
    await archive.archive.rested()
    assert not archive.archive.uploaded


@pytest.mark.parametrize("manner", ["close", "stall"])
async def test_an_upload_that_breaks_off_is_not_taken_for_whole(
    archive: Open, manner: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bodies, "BODY_TIMEOUT", 0.3)
    reader, writer = await asyncio.open_connection("127.0.0.1", archive.port)
    writer.write(b"PUT /v1/scans/7 HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: 999\r\n\r\nhalf")
    async with asyncio.timeout(30):
        while not archive.archive.received:  # noqa: ASYNC110 - what is watched is a counter
            await asyncio.sleep(0.02)
    if manner == "close":
        writer.close()
    else:
        assert b" 408 " in await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        writer.close()
    await archive.archive.rested()
    assert not archive.archive.uploaded
