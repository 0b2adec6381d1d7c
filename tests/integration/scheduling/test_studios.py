"""Studios: creating, reading, listing and changing them."""

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode
from timetable_house import House, key, last_id, open_house, refused

from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.events_pb2 import StudioChanged, StudioCreated
from powerhouse.scheduling.v1.scheduling_service_pb2_grpc import SchedulingServiceStub
from powerhouse.scheduling.v1.studio_pb2 import Studio
from services.chassis.ids import new_id
from services.chassis.jobs.timing import Timing
from services.chassis.jobs.worker import Worker
from services.scheduling.service import SERVICE
from tests.support.services import Running

INVALID = StatusCode.INVALID_ARGUMENT


async def test_a_studio_is_created_once_per_key_and_announced(scheduling: Running) -> None:
    account = new_id()
    stub = scheduling.as_account(SchedulingServiceStub, account)
    request = pb.CreateStudioRequest(
        studio=Studio(display_name="Nord", time_zone="America/New_York", currency_code="USD"), request_id=key()
    )
    studio = await stub.CreateStudio(request)
    assert (studio.display_name, studio.time_zone, studio.currency_code) == ("Nord", "America/New_York", "USD")
    assert await stub.CreateStudio(request) == studio
    tenant = last_id(studio.name)
    assert await scheduling.events(StudioCreated, tenant) == [
        StudioCreated(studio_id=str(tenant), account_id=str(account))
    ]
    [audited] = await scheduling.sql("SELECT * FROM audit_entries WHERE tenant_id = $1", tenant)
    assert (audited["principal"], audited["method"], audited["resource"]) == (
        f"accounts/{account}",
        "CreateStudio",
        studio.name,
    )


@pytest.mark.parametrize(
    ("wrong", "reason", "field"),
    [
        ({"time_zone": "Mars/Base"}, "UNKNOWN_TIME_ZONE", "studio.time_zone"),
        ({"time_zone": ""}, "INVALID_FIELD", "studio.time_zone"),
        ({"currency_code": "XTS"}, "UNKNOWN_CURRENCY", "studio.currency_code"),
        ({"currency_code": "eur"}, "INVALID_FIELD", "studio.currency_code"),
        ({"display_name": ""}, "INVALID_FIELD", "studio.display_name"),
    ],
)
async def test_a_bad_studio_is_refused_by_field(
    scheduling: Running, wrong: dict[str, str], reason: str, field: str
) -> None:
    stub = scheduling.as_account(SchedulingServiceStub)
    studio = Studio(**{"display_name": "Nord", "time_zone": "UTC", "currency_code": "EUR", **wrong})
    before = await scheduling.sql("SELECT count(*) FROM studio_ids")
    async with refused(INVALID, reason, field):
        await stub.CreateStudio(pb.CreateStudioRequest(studio=studio, request_id=key()))
    assert await scheduling.sql("SELECT count(*) FROM studio_ids") == before


async def test_a_write_without_a_key_or_with_a_used_one_is_refused(scheduling: Running) -> None:
    stub = scheduling.as_account(SchedulingServiceStub)
    studio = Studio(display_name="Nord", time_zone="UTC", currency_code="EUR")
    async with refused(INVALID, "IDEMPOTENCY_KEY_REQUIRED", "request_id"):
        await stub.CreateStudio(pb.CreateStudioRequest(studio=studio))
    used = key()
    await stub.CreateStudio(pb.CreateStudioRequest(studio=studio, request_id=used))
    studio.display_name = "Süd"
    async with refused(INVALID, "IDEMPOTENCY_KEY_REUSED", "request_id"):
        await stub.CreateStudio(pb.CreateStudioRequest(studio=studio, request_id=used))


async def test_listing_shows_the_studios_of_the_caller_page_by_page(scheduling: Running, house: House) -> None:
    others = [await open_house(scheduling) for _ in range(2)]
    mine = {house.tenant: [Role.ROLE_OWNER], others[0].tenant: [Role.ROLE_FRONT_DESK]}
    stub = scheduling.as_account(SchedulingServiceStub, house.owner, mine)
    first = await stub.ListStudios(pb.ListStudiosRequest(page_size=1))
    second = await stub.ListStudios(pb.ListStudiosRequest(page_size=1, page_token=first.next_page_token))
    assert {studio.name for page in (first, second) for studio in page.studios} == {house.name, others[0].name}
    assert not second.next_page_token

    nobody = scheduling.as_account(SchedulingServiceStub)
    assert await nobody.ListStudios(pb.ListStudiosRequest()) == pb.ListStudiosResponse()
    async with refused(INVALID, "INVALID_PAGE_TOKEN", "page_token"):
        await nobody.ListStudios(pb.ListStudiosRequest(page_token=first.next_page_token))
    async with refused(INVALID, "INVALID_FIELD", "page_size"):
        await nobody.ListStudios(pb.ListStudiosRequest(page_size=-1))


async def test_reading_one(house: House) -> None:
    client = house.running.as_account(SchedulingServiceStub)
    assert await client.GetStudio(pb.GetStudioRequest(name=house.name)) == house.studio
    async with refused(StatusCode.NOT_FOUND, "NOT_FOUND"):
        await client.GetStudio(pb.GetStudioRequest(name=f"studios/{new_id()}"))
    for bad in ("studios/1", "rooms/1", house.name.upper()):
        async with refused(INVALID, "MALFORMED_NAME", "name"):
            await client.GetStudio(pb.GetStudioRequest(name=bad))
    async with refused(INVALID, "MALFORMED_NAME", "name"):
        await client.GetStudio(pb.GetStudioRequest(name=house.room.name))


async def test_changing_one(house: House) -> None:
    async def update(mask: list[str], **fields: str) -> Studio:
        return await house.stub.UpdateStudio(
            pb.UpdateStudioRequest(
                studio=Studio(name=house.name, **fields), update_mask=FieldMask(paths=mask), request_id=key()
            )
        )

    renamed = await update(["display_name"], display_name="Powerhouse West")
    assert (renamed.display_name, renamed.time_zone) == ("Powerhouse West", "Europe/Berlin")
    moved = await update([], time_zone="Europe/Zurich", etag=renamed.etag)
    assert (moved.display_name, moved.time_zone) == ("Powerhouse West", "Europe/Zurich")
    async with refused(StatusCode.ABORTED, "ETAG_MISMATCH", etag=moved.etag):
        await update([], display_name="Late", etag=renamed.etag)
    async with refused(INVALID, "FIELD_NOT_MUTABLE"):
        await update(["currency_code"], currency_code="CHF")
    async with refused(INVALID, "UNKNOWN_FIELD"):
        await update(["colour"])
    async with refused(INVALID, "UNKNOWN_TIME_ZONE", "studio.time_zone"):
        await update(["time_zone"], time_zone="Mars/Base")
    async with refused(INVALID, "INVALID_FIELD", "studio.display_name"):
        await update(["display_name"])
    assert await house.stub.GetStudio(pb.GetStudioRequest(name=house.name)) == moved


@pytest.mark.parametrize("role", [Role.ROLE_FRONT_DESK, Role.ROLE_INSTRUCTOR, Role.ROLE_CLIENT])
async def test_who_may_not_change_it(house: House, role: "Role.ValueType") -> None:
    async with refused(StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"):
        await house.as_role(role).UpdateStudio(
            pb.UpdateStudioRequest(studio=Studio(name=house.name, display_name="Mine"), request_id=key())
        )
    async with refused(StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED"):
        await house.as_role(role).CancelClassSession(
            pb.CancelClassSessionRequest(name=f"{house.name}/classSessions/{new_id()}", request_id=key())
        )


async def test_what_others_keep_of_a_studio_is_told_at_each_change_and_again_to_who_missed_it(house: House) -> None:
    """A migration wants the latter of studios that were there before."""
    running, tenant = house.running, house.tenant
    before = await running.events(StudioChanged, tenant)
    studio = Studio(name=house.name, display_name="Neu Nord")
    mask = FieldMask(paths=["display_name"])
    await house.stub.UpdateStudio(pb.UpdateStudioRequest(studio=studio, update_mask=mask, request_id=key()))
    first, second = told = await running.events(StudioChanged, tenant)
    assert before == [first]
    assert (second.display_name, second.time_zone) == ("Neu Nord", first.time_zone)
    assert second.version > first.version
    [job] = await running.sql("SELECT * FROM jobs WHERE kind = 'tell_of_studios'")
    await Worker(running.resources, SERVICE.jobs, Timing()).run([job["id"]])
    assert await running.events(StudioChanged, tenant) == [*told, second]
