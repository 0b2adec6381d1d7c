"""MembershipService: decode, call the noun, encode."""

from typing import Any
from uuid import UUID

from powerhouse.payments.v1 import membership_service_pb2 as pb
from powerhouse.payments.v1.membership_pb2 import Membership
from powerhouse.payments.v1.membership_service_pb2_grpc import MembershipServiceServicer
from powerhouse.payments.v1.purchase_service_pb2 import PaymentSession
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import from_timestamp
from services.payments import (
    buyers,
    membership_cards,
    membership_changes,
    membership_payments,
    membership_refunds,
    memberships,
    merchants,
    plan_changes,
)
from services.payments.rpc.encoding import encode_session
from services.payments.rpc.membership_encoding import (
    encode_membership,
    encode_memberships,
    encode_plan_change,
    encode_unused,
)
from services.payments.rpc.names import CARDS, child, only_own, optional


class MembershipServicer(MembershipServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._resources, self._database, self._pager = resources, resources.database, resources.pager

    async def CreateMembership(self, request: pb.CreateMembershipRequest, context: Any) -> Membership:
        option_id = child(request.pricing_option, "pricingOptions", "pricing_option")
        client_id = child(request.client, "clients", "client")
        buyer = await buyers.find(self._resources.stubs, current_call().tenant, client_id, only_own())

        async def change(tx: UnitOfWork) -> Membership:
            made = await memberships.create(tx, buyer, option_id, request.code, request.total_minor)
            return await encode_membership(tx, made)

        return await self._database.write(change)

    async def StartMembershipPayment(self, request: pb.StartMembershipPaymentRequest, context: Any) -> PaymentSession:
        membership_id = child(request.name, "memberships", "name")
        secret = await membership_payments.start(self._resources, current_call().tenant, membership_id, only_own())
        async with self._database.read() as tx:
            account = await merchants.get(tx)
        return encode_session(self._resources.settings, secret, account.external_account)

    async def GetMembership(self, request: pb.GetMembershipRequest, context: Any) -> Membership:
        membership_id = child(request.name, "memberships", "name")
        async with self._database.read() as tx:
            return await encode_membership(tx, await memberships.get(tx, membership_id, only_own()))

    async def ListMemberships(self, request: pb.ListMembershipsRequest, context: Any) -> pb.ListMembershipsResponse:
        query = f"memberships {request.parent} {request.client} {request.state}"
        page = self._pager.page(query, request.page_size, request.page_token)
        client_id = optional(request.client, "clients", "client")
        state = Membership.State.Name(request.state) if request.state else ""
        async with self._database.read() as tx:
            rows = await memberships.list_latest(tx, page, account=only_own(), client_id=client_id, state=state)
            shown, token = page.cut(rows, lambda row: (row.create_time, row.id))
            found = await encode_memberships(tx, shown)
        return pb.ListMembershipsResponse(memberships=found, next_page_token=token)

    async def SetMembershipCard(self, request: pb.SetMembershipCardRequest, context: Any) -> Membership:
        membership_id, tenant = child(request.name, "memberships", "name"), current_call().tenant
        card_id = child(request.payment_method, CARDS, "payment_method")
        payer_id = child(request.payment_method.rsplit("/", 2)[0], "clients", "payment_method")
        await membership_cards.change(self._resources, tenant, membership_id, only_own(), payer_id, card_id)
        return await self._changed(membership_id)

    async def CancelMembership(self, request: pb.CancelMembershipRequest, context: Any) -> Membership:
        membership_id, tenant = child(request.name, "memberships", "name"), current_call().tenant
        await membership_changes.cancel(
            self._resources, tenant, membership_id, only_own(), now=request.now, etag=request.etag
        )
        return await self._changed(membership_id)

    async def KeepMembership(self, request: pb.KeepMembershipRequest, context: Any) -> Membership:
        membership_id, tenant = child(request.name, "memberships", "name"), current_call().tenant
        await membership_changes.keep(self._resources, tenant, membership_id, only_own(), request.etag)
        return await self._changed(membership_id)

    async def PauseMembership(self, request: pb.PauseMembershipRequest, context: Any) -> Membership:
        membership_id, tenant = child(request.name, "memberships", "name"), current_call().tenant
        until = from_timestamp(request, "resume_time")
        await membership_changes.pause(self._resources, tenant, membership_id, only_own(), until, request.etag)
        return await self._changed(membership_id)

    async def ResumeMembership(self, request: pb.ResumeMembershipRequest, context: Any) -> Membership:
        membership_id, tenant = child(request.name, "memberships", "name"), current_call().tenant
        await membership_changes.resume(self._resources, tenant, membership_id, only_own(), request.etag)
        return await self._changed(membership_id)

    async def PreviewPlanChange(self, request: pb.PreviewPlanChangeRequest, context: Any) -> pb.PlanChange:
        membership_id, tenant = child(request.name, "memberships", "name"), current_call().tenant
        option_id = child(request.pricing_option, "pricingOptions", "pricing_option")
        shown = await plan_changes.preview(self._resources, tenant, membership_id, only_own(), option_id)
        return encode_plan_change(tenant, shown)

    async def ChangePlan(self, request: pb.ChangePlanRequest, context: Any) -> Membership:
        membership_id, tenant = child(request.name, "memberships", "name"), current_call().tenant
        option_id = child(request.pricing_option, "pricingOptions", "pricing_option")
        quote_time = from_timestamp(request, "quote_time")
        assert quote_time is not None
        await plan_changes.change(
            self._resources,
            tenant,
            membership_id,
            only_own(),
            option_id,
            due=request.due_minor,
            quote_time=quote_time,
            etag=request.etag,
        )
        return await self._changed(membership_id)

    async def PreviewMembershipRefund(
        self, request: pb.PreviewMembershipRefundRequest, context: Any
    ) -> pb.MembershipRefund:
        membership_id, tenant = child(request.name, "memberships", "name"), current_call().tenant
        left = await membership_refunds.credits_left(self._resources, tenant, membership_id)
        async with self._database.read() as tx:
            membership = await memberships.get(tx, membership_id, None)
            unused = await membership_refunds.preview(tx, membership, left)
            return encode_unused(unused, await merchants.currency(tx))

    async def RefundMembership(self, request: pb.RefundMembershipRequest, context: Any) -> Membership:
        membership_id, tenant = child(request.name, "memberships", "name"), current_call().tenant
        left = await membership_refunds.credits_left(self._resources, tenant, membership_id)

        async def change(tx: UnitOfWork) -> Membership:
            membership = await memberships.get(tx, membership_id, None, lock=True)
            await membership_refunds.create(tx, membership, left, request.refund_minor, request.reason)
            return await encode_membership(tx, membership)

        return await self._database.write(change)

    async def _changed(self, membership_id: UUID) -> Membership:
        """As it is after a change that was made at the provider."""

        async def read(tx: UnitOfWork) -> Membership:
            return await encode_membership(tx, await memberships.get(tx, membership_id, None))

        return await self._database.write(read)
