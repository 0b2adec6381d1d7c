"""PushService: decode, call the noun, encode."""

from typing import Any

from powerhouse.notify.v1 import push_service_pb2 as pb
from powerhouse.notify.v1.push_service_pb2_grpc import PushServiceServicer
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_name
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import to_timestamp
from services.notify import push_subscriptions, reminders
from services.notify.models import PushSubscription
from services.notify.providers.choice import providers_of
from services.notify.providers.push import PushProvider, Subscription
from services.notify.rpc.names import of_client, reachable_client

_CLIENT = "studios/*/clients/*"
_NAME = "studios/*/clients/*/pushSubscriptions/*"


class PushServicer(PushServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._resources, self._database, self._pager = resources, resources.database, resources.pager

    @property
    def _provider(self) -> PushProvider | None:
        return providers_of(self._resources).push

    async def GetPushKey(self, request: pb.GetPushKeyRequest, context: Any) -> pb.PushKey:
        provider = self._provider
        return pb.PushKey(public_key=provider.public_key if provider else "")

    async def CreatePushSubscription(
        self, request: pb.CreatePushSubscriptionRequest, context: Any
    ) -> pb.PushSubscription:
        given, call = request.push_subscription, current_call()
        to = Subscription(given.endpoint, given.p256dh, given.auth)
        client_id = await reachable_client(self._resources, of_client(request.parent, _CLIENT, "parent"))
        push_subscriptions.check(to, self._provider)

        async def change(tx: UnitOfWork) -> pb.PushSubscription:
            row = await push_subscriptions.add(tx, client_id, call.account(), to, principal=call.principal.name)
            await reminders.rearrange(tx, client_id)
            return _encode(row)

        return await self._database.write(change)

    async def ListPushSubscriptions(
        self, request: pb.ListPushSubscriptionsRequest, context: Any
    ) -> pb.ListPushSubscriptionsResponse:
        client_id = await reachable_client(self._resources, of_client(request.parent, _CLIENT, "parent"))
        page = self._pager.page(f"push subscriptions {request.parent}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await push_subscriptions.list_newest(tx, page, client_id, current_call().account())
        shown, token = page.cut(rows, lambda row: (row.id,))
        return pb.ListPushSubscriptionsResponse(
            push_subscriptions=[_encode(row) for row in shown], next_page_token=token
        )

    async def DeletePushSubscription(
        self, request: pb.DeletePushSubscriptionRequest, context: Any
    ) -> pb.PushSubscription:
        call = current_call()
        _, named_client, subscription_id = parse_name(request.name, _NAME, "name")
        client_id = await reachable_client(self._resources, named_client)

        async def change(tx: UnitOfWork) -> pb.PushSubscription:
            row = await push_subscriptions.remove(
                tx, subscription_id, client_id, call.account(), principal=call.principal.name
            )
            await reminders.rearrange(tx, client_id)
            return _encode(row)

        return await self._database.write(change)


def _encode(row: PushSubscription) -> pb.PushSubscription:
    return pb.PushSubscription(
        name=f"studios/{row.tenant_id}/clients/{row.client_id}/pushSubscriptions/{row.id}",
        endpoint=row.endpoint,
        create_time=to_timestamp(row.create_time),
    )
