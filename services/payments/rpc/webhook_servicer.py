"""WebhookService: decode, call the noun."""

from typing import Any

from powerhouse.payments.v1 import webhook_service_pb2 as pb
from powerhouse.payments.v1.webhook_service_pb2_grpc import WebhookServiceServicer
from services.chassis.resources import Resources
from services.payments import provider_events

SIGNATURE = "stripe-signature"


class WebhookServicer(WebhookServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._resources = resources

    async def ReceiveStripeEvent(
        self, request: pb.ReceiveStripeEventRequest, context: Any
    ) -> pb.ReceiveStripeEventResponse:
        await provider_events.receive(self._resources, request.body.data, request.headers.get(SIGNATURE, ""))
        return pb.ReceiveStripeEventResponse()
