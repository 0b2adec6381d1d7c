"""What booking consists of."""

from collections.abc import Sequence
from pathlib import Path

from powerhouse.booking.v1 import (
    booking_service_pb2,
    booking_service_pb2_grpc,
    calendar_service_pb2,
    calendar_service_pb2_grpc,
    client_service_pb2,
    client_service_pb2_grpc,
    erasure_service_pb2,
    erasure_service_pb2_grpc,
    export_service_pb2,
    export_service_pb2_grpc,
    import_service_pb2,
    import_service_pb2_grpc,
    session_change_service_pb2,
    session_change_service_pb2_grpc,
)
from services.booking.consumers import consumers
from services.booking.jobs import jobs
from services.booking.rpc.booking_servicer import BookingServicer
from services.booking.rpc.calendar_servicer import CalendarServicer
from services.booking.rpc.client_servicer import ClientServicer
from services.booking.rpc.erasure_servicer import ErasureServicer
from services.booking.rpc.export_servicer import ExportServicer
from services.booking.rpc.import_servicer import ImportServicer
from services.booking.rpc.session_change_servicer import SessionChangeServicer
from services.booking.settings import BookingSettings
from services.chassis.resources import Resources
from services.chassis.rpc.server import Servicer
from services.chassis.service import Service


def _servicers(resources: Resources) -> Sequence[Servicer]:
    return [
        Servicer(
            booking_service_pb2.DESCRIPTOR.services_by_name["BookingService"],
            booking_service_pb2_grpc.add_BookingServiceServicer_to_server,
            BookingServicer(resources),
        ),
        Servicer(
            client_service_pb2.DESCRIPTOR.services_by_name["ClientService"],
            client_service_pb2_grpc.add_ClientServiceServicer_to_server,
            ClientServicer(resources),
        ),
        Servicer(
            calendar_service_pb2.DESCRIPTOR.services_by_name["CalendarService"],
            calendar_service_pb2_grpc.add_CalendarServiceServicer_to_server,
            CalendarServicer(resources),
        ),
        Servicer(
            session_change_service_pb2.DESCRIPTOR.services_by_name["SessionChangeService"],
            session_change_service_pb2_grpc.add_SessionChangeServiceServicer_to_server,
            SessionChangeServicer(resources),
        ),
        Servicer(
            import_service_pb2.DESCRIPTOR.services_by_name["ImportService"],
            import_service_pb2_grpc.add_ImportServiceServicer_to_server,
            ImportServicer(resources),
        ),
        Servicer(
            export_service_pb2.DESCRIPTOR.services_by_name["ExportService"],
            export_service_pb2_grpc.add_ExportServiceServicer_to_server,
            ExportServicer(resources),
        ),
        Servicer(
            erasure_service_pb2.DESCRIPTOR.services_by_name["ErasureService"],
            erasure_service_pb2_grpc.add_ErasureServiceServicer_to_server,
            ErasureServicer(resources),
        ),
    ]


SERVICE = Service(
    name="booking",
    folder=Path(__file__).parent,
    settings=BookingSettings,
    servicers=_servicers,
    consumers=consumers,
    jobs=jobs,
)
