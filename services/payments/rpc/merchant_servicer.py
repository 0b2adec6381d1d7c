"""MerchantService: decode, call the noun, encode."""

from typing import Any

from powerhouse.payments.v1 import merchant_service_pb2 as pb
from powerhouse.payments.v1.merchant_service_pb2_grpc import MerchantServiceServicer
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import to_timestamp
from services.payments import merchants
from services.payments.rpc.encoding import encode_account


class MerchantServicer(MerchantServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def OpenMerchantAccount(self, request: pb.OpenMerchantAccountRequest, context: Any) -> pb.MerchantAccount:
        tenant = current_call().tenant
        account = await merchants.open_account(self._resources, tenant, request.currency_code, request.country_code)
        return encode_account(account)

    async def GetMerchantAccount(self, request: pb.GetMerchantAccountRequest, context: Any) -> pb.MerchantAccount:
        async with self._resources.database.read() as tx:
            return encode_account(await merchants.get(tx))

    async def CreateOnboardingLink(self, request: pb.CreateOnboardingLinkRequest, context: Any) -> pb.OnboardingLink:
        url, expire_time = await merchants.onboarding_link(self._resources, current_call().tenant)
        return pb.OnboardingLink(url=url, expire_time=to_timestamp(expire_time))
