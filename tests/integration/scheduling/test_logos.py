"""A studio's logo, and through it the blobs of the chassis: streamed, known by content, kept while shown."""

import asyncio
import hashlib
import tracemalloc
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.api.httpbody_pb2 import HttpBody
from grpc import StatusCode
from timetable_house import House, open_house

from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.scheduling_service_pb2_grpc import SchedulingServiceStub
from powerhouse.scheduling.v1.studio_pb2 import Studio
from services.chassis import blobs
from services.chassis.clock import real_now
from services.scheduling.jobs import sweep_blobs
from services.scheduling.studios import MAX_LOGO
from tests.support.services import Running, fields_of, reason_of

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8\xff\xe0"
WEBP = b"RIFF\x10\x00\x00\x00WEBPVP8 "


async def _requests(name: str, data: bytes, *, whole: bool = True, size: int = 100_000) -> AsyncIterator[Any]:
    yield pb.UploadStudioLogoRequest(name=name, logo=HttpBody(content_type="text/html"))
    for start in range(0, len(data), size):
        yield pb.UploadStudioLogoRequest(logo=HttpBody(data=data[start : start + size]))
    if whole:
        yield pb.UploadStudioLogoRequest()


async def upload(house: House, data: bytes, stub: Any = None, *, whole: bool = True) -> Studio:
    studio: Studio = await (stub or house.stub).UploadStudioLogo(_requests(house.name, data, whole=whole))
    return studio


async def download(house: House, stub: Any = None) -> tuple[str, bytes]:
    call = (stub or house.stub).DownloadStudioLogo(pb.DownloadStudioLogoRequest(name=house.name))
    bodies = [body async for body in call]
    return bodies[0].content_type, b"".join(body.data for body in bodies)


async def chunks(house: House) -> int:
    (row,) = await house.running.sql("SELECT count(*) FROM blob_chunks WHERE tenant_id = $1", house.tenant)
    return int(row[0])


@pytest.mark.parametrize(
    ("head", "content_type"),
    [(PNG, "image/png"), (JPEG, "image/jpeg"), (WEBP, "image/webp")],
    ids=["png", "jpeg", "webp"],
)
async def test_an_image_goes_up_and_comes_down(house: House, head: bytes, content_type: str) -> None:
    data = head + bytes(range(256)) * 3000
    before = await house.stub.GetStudio(pb.GetStudioRequest(name=house.name))
    studio = await upload(house, data)
    assert studio.logo == hashlib.sha256(data).hexdigest()
    assert int(studio.etag) == int(before.etag) + 1
    for role in (Role.ROLE_OWNER, Role.ROLE_CLIENT):
        assert await download(house, house.as_role(role)) == (content_type, data)


async def test_there_is_none_at_first(house: House) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await download(house)
    assert refusal.value.code() is StatusCode.NOT_FOUND


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"<svg onload=alert(1)>", "BLOB_TYPE_NOT_ACCEPTED"),
        (b"GIF89a", "BLOB_TYPE_NOT_ACCEPTED"),
        (b"RIFF\x10\x00\x00\x00WAVE", "BLOB_TYPE_NOT_ACCEPTED"),
        (PNG + bytes(MAX_LOGO), "BLOB_TOO_LARGE"),
        (b"", "INVALID_FIELD"),
    ],
    ids=["svg", "gif", "wave", "large", "empty"],
)
async def test_what_is_no_logo_is_refused(house: House, data: bytes, reason: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await upload(house, data)
    assert (refusal.value.code(), reason_of(refusal.value)) == (StatusCode.INVALID_ARGUMENT, reason)
    assert fields_of(refusal.value) == ["logo"]
    assert not (await house.stub.GetStudio(pb.GetStudioRequest(name=house.name))).logo


async def test_the_largest_is_taken(house: House) -> None:
    data = PNG + bytes(MAX_LOGO - len(PNG))
    await upload(house, data)
    assert await download(house) == ("image/png", data)


async def test_what_broke_off_is_not_taken_for_whole(house: House) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await upload(house, PNG + bytes(1000), whole=False)
    assert reason_of(refusal.value) == "UPLOAD_BROKEN_OFF"

    async def requests() -> AsyncIterator[Any]:
        async for request in _requests(house.name, PNG + bytes(300_000), whole=False):
            yield request
        await asyncio.sleep(60)

    call = house.stub.UploadStudioLogo(requests())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(call.code()), 0.5)
    call.cancel()
    await asyncio.sleep(0.2)
    assert not (await house.stub.GetStudio(pb.GetStudioRequest(name=house.name))).logo


async def test_only_who_runs_the_studio_changes_it(scheduling: Running, house: House) -> None:
    for stub in (house.as_role(Role.ROLE_FRONT_DESK), house.as_role(Role.ROLE_CLIENT)):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await upload(house, PNG, stub)
        assert refusal.value.code() is StatusCode.PERMISSION_DENIED
    other = await open_house(scheduling)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await upload(house, PNG, other.stub)
    assert refusal.value.code() is StatusCode.PERMISSION_DENIED
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await upload(house, PNG, scheduling.anonymous(SchedulingServiceStub))
    assert refusal.value.code() is StatusCode.UNAUTHENTICATED


async def test_the_same_image_is_kept_once_and_what_is_replaced_goes(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = PNG + bytes(600_000), JPEG + bytes(10)
    etag = (await upload(house, one)).etag
    assert (await upload(house, one)).etag == etag
    assert await chunks(house) == 6
    monkeypatch.setattr(blobs, "real_now", lambda: real_now() + timedelta(hours=2))
    await sweep_blobs(house.running.resources, real_now())
    assert await chunks(house) == 3
    await upload(house, two)
    monkeypatch.setattr(blobs, "real_now", lambda: real_now() + timedelta(hours=4))
    await sweep_blobs(house.running.resources, real_now())
    assert await chunks(house) == 1
    assert await download(house) == ("image/jpeg", two)
    # And back to the first, from nothing.
    await upload(house, one)
    assert await download(house) == ("image/png", one)


async def test_an_upload_that_nobody_used_goes_in_time(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(grpc.aio.AioRpcError):
        await upload(house, PNG + bytes(600_000), whole=False)
    assert await chunks(house)
    await sweep_blobs(house.running.resources, real_now())
    assert await chunks(house)
    monkeypatch.setattr(blobs, "real_now", lambda: real_now() + timedelta(hours=2))
    await sweep_blobs(house.running.resources, real_now())
    assert not await chunks(house)


async def test_memory_holds_a_chunk_and_not_the_whole(house: House) -> None:
    async def endless() -> AsyncIterator[bytes]:
        yield PNG
        for _ in range(320):
            yield bytes(100_000)

    tracemalloc.start()
    try:
        database = house.running.resources.database
        blob = await blobs.store(
            database, house.tenant, endless(), field="x", limit=10**9, type_of=lambda _head: "image/png"
        )
        size = 0
        async for chunk in blobs.content(database, house.tenant, blob):
            size += len(chunk)
        assert size == blob.size == 32_000_000 + len(PNG)
        assert tracemalloc.get_traced_memory()[1] < 8_000_000
    finally:
        tracemalloc.stop()
