"""What every RPC gets from the chassis, seen through scheduling's: identity, policy, validation, keys, errors."""

import asyncio
from collections.abc import AsyncIterator
from uuid import UUID

import grpc
import pytest

from embedded.certificates import Certificates
from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.scheduling_service_pb2_grpc import SchedulingServiceStub
from powerhouse.scheduling.v1.studio_pb2 import Location, Studio
from services.chassis.auth.principal import Principal
from services.chassis.ids import new_id
from services.scheduling.service import SERVICE
from tests.support.services import Mesh, Running, fields_of, reason_of


@pytest.fixture(scope="module")
async def scheduling(postgres_url: str, certificates: Certificates) -> AsyncIterator[Running]:
    async with Mesh(postgres_url, certificates).running(SERVICE) as running:
        yield running


@pytest.fixture(scope="module")
async def studio(scheduling: Running) -> str:
    """Name of a studio that exists."""
    founder = scheduling.as_account(SchedulingServiceStub)
    new = Studio(display_name="Mitte Pilates", time_zone="Europe/Berlin", currency_code="EUR")
    return (await founder.CreateStudio(pb.CreateStudioRequest(studio=new, request_id="founded"))).name


@pytest.fixture(scope="module")
def owner(scheduling: Running, studio: str) -> SchedulingServiceStub:
    return _with_role(scheduling, studio, Role.ROLE_OWNER)


def _with_role(scheduling: Running, studio: str, role: "Role.ValueType") -> SchedulingServiceStub:
    return scheduling.as_account(SchedulingServiceStub, new_id(), {UUID(studio.split("/")[1]): [role]})


def _new(studio: str, key: str, name: str = "Mitte") -> pb.CreateLocationRequest:
    return pb.CreateLocationRequest(
        parent=studio,
        location=Location(display_name=name, time_zone="Europe/Berlin"),
        request_id=key,
    )


async def _count(scheduling: Running, name: str) -> int:
    rows = await scheduling.sql("SELECT count(*) FROM locations WHERE display_name = $1", name)
    return int(rows[0]["count"])


async def test_a_repeat_answers_the_same_and_writes_once(
    scheduling: Running, owner: SchedulingServiceStub, studio: str
) -> None:
    first = await owner.CreateLocation(_new(studio, "repeat", "Once"))
    assert await owner.CreateLocation(_new(studio, "repeat", "Once")) == first
    assert await _count(scheduling, "Once") == 1


async def test_the_same_key_five_times_at_once_writes_once(
    scheduling: Running, owner: SchedulingServiceStub, studio: str
) -> None:
    answers = await asyncio.gather(*(owner.CreateLocation(_new(studio, "race", "Raced")) for _ in range(5)))
    assert len({answer.name for answer in answers}) == 1
    assert await _count(scheduling, "Raced") == 1
    audited = await scheduling.sql("SELECT 1 FROM audit_entries WHERE resource = $1", answers[0].name)
    assert len(audited) == 1


async def test_the_same_key_with_another_body_is_refused(
    scheduling: Running, owner: SchedulingServiceStub, studio: str
) -> None:
    await owner.CreateLocation(_new(studio, "reused", "Body one"))
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await owner.CreateLocation(_new(studio, "reused", "Body two"))
    assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert (reason_of(refusal.value), fields_of(refusal.value)) == ("IDEMPOTENCY_KEY_REUSED", ["request_id"])
    assert await _count(scheduling, "Body two") == 0


async def test_a_key_belongs_to_its_principal(scheduling: Running, owner: SchedulingServiceStub, studio: str) -> None:
    await owner.CreateLocation(_new(studio, "shared", "Two owners"))
    other = _with_role(scheduling, studio, Role.ROLE_OWNER)
    await other.CreateLocation(_new(studio, "shared", "Two owners"))
    assert await _count(scheduling, "Two owners") == 2


async def test_a_refusal_is_decided_anew(scheduling: Running, owner: SchedulingServiceStub, studio: str) -> None:
    request = _new(studio, "anew", "Decided anew")
    request.location.time_zone = "Mars/Olympus"
    with pytest.raises(grpc.aio.AioRpcError):
        await owner.CreateLocation(request)
    request.location.time_zone = "Europe/Berlin"
    await owner.CreateLocation(request)
    assert await _count(scheduling, "Decided anew") == 1


async def test_a_write_without_a_key_is_refused(owner: SchedulingServiceStub, studio: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await owner.CreateLocation(_new(studio, ""))
    assert (reason_of(refusal.value), fields_of(refusal.value)) == ("IDEMPOTENCY_KEY_REQUIRED", ["request_id"])


async def test_field_rules_name_the_field(owner: SchedulingServiceStub, studio: str) -> None:
    request = _new(studio, "rules", "")
    request.location.address = "x" * 301
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await owner.CreateLocation(request)
    assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert sorted(fields_of(refusal.value)) == ["location.address", "location.display_name"]


async def test_nobody_a_stranger_and_the_wrong_role_are_refused(scheduling: Running, studio: str) -> None:
    async def refused(stub: SchedulingServiceStub) -> tuple[grpc.StatusCode, str]:
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await stub.CreateLocation(_new(studio, "refused"))
        return refusal.value.code(), reason_of(refusal.value)

    denied = grpc.StatusCode.PERMISSION_DENIED
    assert await refused(scheduling.anonymous(SchedulingServiceStub)) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "NOT_SIGNED_IN",
    )
    assert await refused(scheduling.as_account(SchedulingServiceStub)) == (denied, "ROLE_REQUIRED")
    elsewhere = {new_id(): [Role.ROLE_OWNER]}
    assert await refused(scheduling.as_account(SchedulingServiceStub, new_id(), elsewhere)) == (denied, "ROLE_REQUIRED")
    assert await refused(_with_role(scheduling, studio, Role.ROLE_FRONT_DESK)) == (denied, "ROLE_REQUIRED")
    # A service of the mesh acts for nobody where a person is needed.
    assert (await refused(scheduling.as_service(SchedulingServiceStub, "booking")))[0] == (
        grpc.StatusCode.UNAUTHENTICATED
    )


async def test_permission_comes_before_existence(scheduling: Running, studio: str) -> None:
    stranger = scheduling.as_principal(SchedulingServiceStub, Principal(api_key_id=new_id()))
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await stranger.GetLocation(pb.GetLocationRequest(name=f"{studio}/locations/{new_id()}"))
    assert refusal.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_only_listed_services_may_call_what_is_for_services(scheduling: Running) -> None:
    async def read(stub: SchedulingServiceStub) -> None:
        async for _ in stub.SnapshotClassSessions(pb.SnapshotClassSessionsRequest()):
            pass

    await read(scheduling.as_service(SchedulingServiceStub, "booking"))
    for stub in (
        scheduling.as_service(SchedulingServiceStub, "notify"),
        scheduling.anonymous(SchedulingServiceStub),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await read(stub)
        assert refusal.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def test_the_mesh_port_wants_a_certificate(scheduling: Running) -> None:
    authority = scheduling.mesh.certificates.authority.read_bytes()
    channel = grpc.aio.secure_channel(
        f"127.0.0.1:{scheduling.port}",
        grpc.ssl_channel_credentials(authority),
        options=[("grpc.ssl_target_name_override", "scheduling"), ("grpc.use_local_subchannel_pool", 1)],
    )
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await SchedulingServiceStub(channel).ListStudios(pb.ListStudiosRequest(), timeout=3)
    assert refusal.value.code() == grpc.StatusCode.UNAVAILABLE
    await channel.close()


async def test_a_call_past_its_deadline_ends_and_writes_nothing(
    scheduling: Running, owner: SchedulingServiceStub, studio: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await owner.CreateLocation(_new(studio, "late", "Too late"), timeout=0.001)
    assert refusal.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
    await asyncio.sleep(0.3)
    assert await _count(scheduling, "Too late") <= 1


async def test_a_foreign_name_and_a_malformed_one_are_refused(owner: SchedulingServiceStub, studio: str) -> None:
    for name in ("", "studios/x", "rooms/1", f"{studio}x"):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await owner.GetLocation(pb.GetLocationRequest(name=name))
        assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
        assert fields_of(refusal.value) == ["name"]


async def test_a_stale_page_token_is_refused(owner: SchedulingServiceStub, studio: str) -> None:
    for token in ("x", "AAAA", "é"):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await owner.ListLocations(pb.ListLocationsRequest(parent=studio, page_token=token))
        assert (reason_of(refusal.value), fields_of(refusal.value)) == ("INVALID_PAGE_TOKEN", ["page_token"])


async def test_a_nul_is_refused_before_the_database_sees_it(owner: SchedulingServiceStub, studio: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await owner.CreateLocation(_new(studio, "nul", "Mit\0te"))
    assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert fields_of(refusal.value) == ["location.display_name"]
