"""What a studio's staff may read of its deliveries."""

from typing import Any
from uuid import UUID

import grpc
import pytest

from powerhouse.notify.v1 import notify_service_pb2 as pb
from powerhouse.notify.v1.notify_service_pb2_grpc import NotifyServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from tests.integration.notify.house import Post
from tests.support.services import fields_of, reason_of


async def test_a_delivery_tells_its_story(post: Post) -> None:
    invitation, email = await post.invite()
    await post.send(post.identity, invitation)
    [delivery] = await post.listed()
    [mail] = await post.mails(email)
    assert delivery.kind == pb.Delivery.INVITATION
    assert delivery.state == pb.Delivery.ACCEPTED
    assert delivery.invitation == f"{post.name}/invitations/{invitation}"
    assert not delivery.booking
    assert delivery.attempts == 1
    assert delivery.provider_message_id == mail["id"]
    assert delivery.accept_time.seconds >= delivery.due_time.seconds > 0
    assert await post.staff().GetDelivery(pb.GetDeliveryRequest(name=delivery.name)) == delivery


async def test_pages_go_from_the_newest_to_the_oldest(post: Post) -> None:
    invitations = [(await post.invite())[0] for _ in range(5)]
    for invitation in invitations:
        await post.carry(post.identity, invitation)
    await post.work_off()
    found: list[str] = []
    token = ""
    while True:
        request = pb.ListDeliveriesRequest(parent=post.name, page_size=2, page_token=token)
        answer = await post.staff().ListDeliveries(request)
        found += [delivery.invitation.rpartition("/")[2] for delivery in answer.deliveries]
        token = answer.next_page_token
        if not token:
            break
    assert found == [str(invitation) for invitation in reversed(invitations)]
    assert not await post.listed(booking=f"{post.name}/bookings/{new_id()}")


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_only_staff_of_the_studio_read(post: Post) -> None:
    invitation, _ = await post.invite()
    await post.send(post.identity, invitation)
    [delivery] = await post.listed()
    elsewhere = new_id()
    for roles in ({}, {post.studio: [Role.ROLE_INSTRUCTOR]}, {elsewhere: [Role.ROLE_OWNER]}):
        stub = post.notify.as_account(NotifyServiceStub, roles=roles)
        for call in (
            stub.ListDeliveries(pb.ListDeliveriesRequest(parent=post.name)),
            stub.GetDelivery(pb.GetDeliveryRequest(name=delivery.name)),
        ):
            assert reason_of(await refused(call)) == "ROLE_REQUIRED"
    # The owner of another studio finds nothing of ours there.
    stub = post.notify.as_account(NotifyServiceStub, roles={elsewhere: [Role.ROLE_OWNER]})
    assert not (await stub.ListDeliveries(pb.ListDeliveriesRequest(parent=f"studios/{elsewhere}"))).deliveries
    ours = f"studios/{elsewhere}/deliveries/{delivery.name.rpartition('/')[2]}"
    assert (await refused(stub.GetDelivery(pb.GetDeliveryRequest(name=ours)))).code() is grpc.StatusCode.NOT_FOUND


async def test_bad_input_names_its_field(post: Post) -> None:
    staff = post.staff()
    foreign = f"studios/{UUID(int=1)}/bookings/{new_id()}"
    for call, field, reason in [
        (staff.ListDeliveries(pb.ListDeliveriesRequest(parent=post.name, page_size=-1)), "page_size", "INVALID_FIELD"),
        (
            staff.ListDeliveries(pb.ListDeliveriesRequest(parent=post.name, page_token="forged")),
            "page_token",
            "INVALID_PAGE_TOKEN",
        ),
        (
            staff.ListDeliveries(pb.ListDeliveriesRequest(parent=post.name, booking=foreign)),
            "booking",
            "FOREIGN_RESOURCE",
        ),
        (
            staff.ListDeliveries(pb.ListDeliveriesRequest(parent=post.name, booking="nonsense")),
            "booking",
            "MALFORMED_NAME",
        ),
        (staff.GetDelivery(pb.GetDeliveryRequest(name=f"{post.name}/deliveries/x")), "name", "MALFORMED_NAME"),
    ]:
        error = await refused(call)
        assert (error.code(), fields_of(error), reason_of(error)) == (
            grpc.StatusCode.INVALID_ARGUMENT,
            [field],
            reason,
        )
