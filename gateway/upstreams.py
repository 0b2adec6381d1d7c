"""The services behind the gateway: their channels, their methods, their health."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import grpc
from google.protobuf.descriptor import ServiceDescriptor
from google.rpc import status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gateway.settings import Settings
from gateway.transcoding.bindings import Binding, Router, Unbindable
from gateway.transcoding.json_reader import reader
from gateway.transcoding.json_writer import writer
from powerhouse.booking.v1 import (
    attendance_service_pb2,
    booking_service_pb2,
    calendar_service_pb2,
    client_note_service_pb2,
    client_service_pb2,
    credit_service_pb2,
    drop_in_service_pb2,
    erasure_service_pb2,
    export_service_pb2,
    fee_service_pb2,
    import_service_pb2,
    series_service_pb2,
    waitlist_service_pb2,
    waiver_service_pb2,
)
from powerhouse.identity.v1 import identity_service_pb2
from powerhouse.notify.v1 import (
    delivery_report_service_pb2,
    notify_service_pb2,
    preference_service_pb2,
    provider_event_service_pb2,
    sender_service_pb2,
    template_service_pb2,
)
from powerhouse.payments.v1 import (
    catalogue_service_pb2,
    merchant_service_pb2,
    purchase_service_pb2,
    receipt_service_pb2,
    reconciliation_service_pb2,
    refund_service_pb2,
    webhook_service_pb2,
)
from powerhouse.policy.v1.policy_pb2 import MethodPolicy
from powerhouse.scheduling.v1 import (
    availability_service_pb2,
    class_schedule_service_pb2,
    closure_service_pb2,
    conflict_service_pb2,
    generation_service_pb2,
    scheduling_service_pb2,
)
from services.chassis.rpc.policy import Method, read_methods
from services.chassis.rpc.status import DETAILS_KEY
from services.chassis.rpc.stubs import Tls, open_channel

# The contracts of each service.
SERVICES: Mapping[str, Sequence[ServiceDescriptor]] = {
    "identity": [identity_service_pb2.DESCRIPTOR.services_by_name["IdentityService"]],
    "scheduling": [
        scheduling_service_pb2.DESCRIPTOR.services_by_name["SchedulingService"],
        class_schedule_service_pb2.DESCRIPTOR.services_by_name["ClassScheduleService"],
        generation_service_pb2.DESCRIPTOR.services_by_name["GenerationService"],
        availability_service_pb2.DESCRIPTOR.services_by_name["AvailabilityService"],
        closure_service_pb2.DESCRIPTOR.services_by_name["ClosureService"],
        conflict_service_pb2.DESCRIPTOR.services_by_name["ConflictService"],
    ],
    "booking": [
        booking_service_pb2.DESCRIPTOR.services_by_name["BookingService"],
        client_service_pb2.DESCRIPTOR.services_by_name["ClientService"],
        attendance_service_pb2.DESCRIPTOR.services_by_name["AttendanceService"],
        drop_in_service_pb2.DESCRIPTOR.services_by_name["DropInService"],
        calendar_service_pb2.DESCRIPTOR.services_by_name["CalendarService"],
        client_note_service_pb2.DESCRIPTOR.services_by_name["ClientNoteService"],
        waiver_service_pb2.DESCRIPTOR.services_by_name["WaiverService"],
        credit_service_pb2.DESCRIPTOR.services_by_name["CreditService"],
        fee_service_pb2.DESCRIPTOR.services_by_name["FeeService"],
        series_service_pb2.DESCRIPTOR.services_by_name["SeriesService"],
        waitlist_service_pb2.DESCRIPTOR.services_by_name["WaitlistService"],
        import_service_pb2.DESCRIPTOR.services_by_name["ImportService"],
        export_service_pb2.DESCRIPTOR.services_by_name["ExportService"],
        erasure_service_pb2.DESCRIPTOR.services_by_name["ErasureService"],
    ],
    "notify": [
        notify_service_pb2.DESCRIPTOR.services_by_name["NotifyService"],
        provider_event_service_pb2.DESCRIPTOR.services_by_name["ProviderEventService"],
        preference_service_pb2.DESCRIPTOR.services_by_name["PreferenceService"],
        sender_service_pb2.DESCRIPTOR.services_by_name["SenderService"],
        template_service_pb2.DESCRIPTOR.services_by_name["TemplateService"],
        delivery_report_service_pb2.DESCRIPTOR.services_by_name["DeliveryReportService"],
    ],
    "payments": [
        catalogue_service_pb2.DESCRIPTOR.services_by_name["CatalogueService"],
        merchant_service_pb2.DESCRIPTOR.services_by_name["MerchantService"],
        purchase_service_pb2.DESCRIPTOR.services_by_name["PurchaseService"],
        refund_service_pb2.DESCRIPTOR.services_by_name["RefundService"],
        receipt_service_pb2.DESCRIPTOR.services_by_name["ReceiptService"],
        reconciliation_service_pb2.DESCRIPTOR.services_by_name["ReconciliationService"],
        webhook_service_pb2.DESCRIPTOR.services_by_name["WebhookService"],
    ],
}
CONTRACTS: Sequence[ServiceDescriptor] = tuple(chain.from_iterable(SERVICES.values()))
HEALTH_TIMEOUT = 1.0

# What gRPC itself says in these cases names addresses and internals.
_PLAIN_WORDS: Mapping[grpc.StatusCode, str] = {
    grpc.StatusCode.UNAVAILABLE: "a part of the system is away; try again",
    grpc.StatusCode.DEADLINE_EXCEEDED: "it took too long; whether it happened is not known",
    grpc.StatusCode.UNKNOWN: "something went wrong on our side",
    grpc.StatusCode.UNIMPLEMENTED: "this is not available here",
    grpc.StatusCode.CANCELLED: "the call was cancelled",
}

Metadata = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Route:
    """Where a binding's calls go."""

    # Name of the service: the audience of its tokens.
    audience: str
    method: Method
    # A multi-callable of the method's kind: unary, streaming its answers or streaming its requests.
    call: Any


class Upstreams:
    """Routes of every annotated method, over one channel for each service."""

    def __init__(
        self, channels: Mapping[str, grpc.aio.Channel], services: Mapping[str, Sequence[ServiceDescriptor]] = SERVICES
    ) -> None:
        """Raises Unbindable or PolicyError for a contract that cannot be served."""
        self.channels = channels
        # Set when the process is about to end: streams end then, and their readers come back to another one.
        self.ending = asyncio.Event()
        contracts = list(chain.from_iterable(services.values()))
        self.router = Router(contracts)
        for binding in self.router.bindings:
            # Compiled now rather than for the first caller.
            reader(binding.method.input_type)
            writer(binding.method.output_type)
        audiences = {contract.full_name: name for name, served in services.items() for contract in served}
        methods = {path: method for contract in contracts for path, method in read_methods(contract).items()}
        self._routes = {
            binding.rpc: _route(
                binding, audiences[binding.method.containing_service.full_name], methods[binding.rpc], channels
            )
            for binding in self.router.bindings
        }

    def route(self, binding: Binding) -> Route:
        """Where calls of a binding go."""
        return self._routes[binding.rpc]

    async def unhealthy(self) -> list[str]:
        """Names of the services that do not serve right now."""
        serving = await asyncio.gather(*(_serving(channel) for channel in self.channels.values()))
        return [name for name, healthy in zip(self.channels, serving, strict=True) if not healthy]

    async def close(self) -> None:
        await asyncio.gather(*(channel.close() for channel in self.channels.values()))


def connect(settings: Settings) -> Upstreams:
    """Channels to all services; they connect when first used. Call inside the event loop."""
    tls = Tls(settings.tls_dir)
    return Upstreams(
        {
            name: open_channel(served, name, getattr(settings, f"{name}_target"), tls)
            for name, served in SERVICES.items()
        }
    )


def status_of(error: grpc.aio.AioRpcError) -> status_pb2.Status:
    """What a call that failed says to the outside."""
    for key, value in error.trailing_metadata() or ():
        if key == DETAILS_KEY and isinstance(value, bytes):
            return status_pb2.Status.FromString(value)
    code = error.code()
    message = _PLAIN_WORDS.get(code) or error.details() or code.name
    return status_pb2.Status(code=code.value[0], message=message)


def _route(binding: Binding, audience: str, method: Method, channels: Mapping[str, grpc.aio.Channel]) -> Route:
    if method.policy.scope == MethodPolicy.SYSTEM:
        raise Unbindable(f"{binding.rpc} is for services only and must not have a path")
    channel = channels[audience]
    kind = channel.stream_unary if binding.is_upload else channel.unary_stream if binding.is_stream else None
    call = (kind or channel.unary_unary)(
        binding.rpc,
        request_serializer=binding.request_class.SerializeToString,
        response_deserializer=binding.response_class.FromString,
    )
    return Route(audience, method, call)


async def _serving(channel: grpc.aio.Channel) -> bool:
    health: Any = health_pb2_grpc.HealthStub(channel)
    try:
        answer = await health.Check(health_pb2.HealthCheckRequest(), timeout=HEALTH_TIMEOUT)
    except grpc.aio.AioRpcError:
        return False
    return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)
