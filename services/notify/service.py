"""What notify consists of."""

from collections.abc import Sequence
from pathlib import Path

from powerhouse.notify.v1 import (
    delivery_report_service_pb2,
    delivery_report_service_pb2_grpc,
    notify_service_pb2,
    notify_service_pb2_grpc,
    preference_service_pb2,
    preference_service_pb2_grpc,
    provider_event_service_pb2,
    provider_event_service_pb2_grpc,
    push_service_pb2,
    push_service_pb2_grpc,
    sender_service_pb2,
    sender_service_pb2_grpc,
    template_service_pb2,
    template_service_pb2_grpc,
)
from services.chassis.resources import Resources
from services.chassis.rpc.server import Servicer
from services.chassis.service import Service
from services.notify.consumers import consumers
from services.notify.jobs import jobs, outbound
from services.notify.rpc.delivery_report_servicer import DeliveryReportServicer
from services.notify.rpc.notify_servicer import NotifyServicer
from services.notify.rpc.preference_servicer import PreferenceServicer
from services.notify.rpc.provider_event_servicer import ProviderEventServicer
from services.notify.rpc.push_servicer import PushServicer
from services.notify.rpc.sender_servicer import SenderServicer
from services.notify.rpc.template_servicer import TemplateServicer
from services.notify.settings import NotifySettings


def _servicers(resources: Resources) -> Sequence[Servicer]:
    settings = resources.settings
    assert isinstance(settings, NotifySettings)
    return [
        Servicer(
            notify_service_pb2.DESCRIPTOR.services_by_name["NotifyService"],
            notify_service_pb2_grpc.add_NotifyServiceServicer_to_server,
            NotifyServicer(resources),
        ),
        Servicer(
            provider_event_service_pb2.DESCRIPTOR.services_by_name["ProviderEventService"],
            provider_event_service_pb2_grpc.add_ProviderEventServiceServicer_to_server,
            ProviderEventServicer(resources.database, settings),
        ),
        Servicer(
            preference_service_pb2.DESCRIPTOR.services_by_name["PreferenceService"],
            preference_service_pb2_grpc.add_PreferenceServiceServicer_to_server,
            PreferenceServicer(resources),
        ),
        Servicer(
            sender_service_pb2.DESCRIPTOR.services_by_name["SenderService"],
            sender_service_pb2_grpc.add_SenderServiceServicer_to_server,
            SenderServicer(resources),
        ),
        Servicer(
            template_service_pb2.DESCRIPTOR.services_by_name["TemplateService"],
            template_service_pb2_grpc.add_TemplateServiceServicer_to_server,
            TemplateServicer(resources),
        ),
        Servicer(
            delivery_report_service_pb2.DESCRIPTOR.services_by_name["DeliveryReportService"],
            delivery_report_service_pb2_grpc.add_DeliveryReportServiceServicer_to_server,
            DeliveryReportServicer(resources),
        ),
        Servicer(
            push_service_pb2.DESCRIPTOR.services_by_name["PushService"],
            push_service_pb2_grpc.add_PushServiceServicer_to_server,
            PushServicer(resources),
        ),
    ]


SERVICE = Service(
    name="notify",
    folder=Path(__file__).parent,
    settings=NotifySettings,
    servicers=_servicers,
    consumers=consumers,
    jobs=jobs,
    queues=[outbound],
)
