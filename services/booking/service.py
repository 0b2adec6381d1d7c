"""What booking consists of."""

from collections.abc import Sequence
from pathlib import Path

from powerhouse.booking.v1 import (
    booking_service_pb2,
    booking_service_pb2_grpc,
    client_note_service_pb2,
    client_note_service_pb2_grpc,
    client_service_pb2,
    client_service_pb2_grpc,
    waiver_service_pb2,
    waiver_service_pb2_grpc,
)
from services.booking.consumers import consumers
from services.booking.jobs import jobs
from services.booking.person_keys import PersonKeys
from services.booking.rpc.booking_servicer import BookingServicer
from services.booking.rpc.client_note_servicer import ClientNoteServicer
from services.booking.rpc.client_servicer import ClientServicer
from services.booking.rpc.waiver_servicer import WaiverServicer
from services.booking.settings import BookingSettings
from services.chassis.resources import Resources
from services.chassis.rpc.server import Servicer
from services.chassis.service import Service


def _servicers(resources: Resources) -> Sequence[Servicer]:
    keys = PersonKeys(resources.settings)
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
            client_note_service_pb2.DESCRIPTOR.services_by_name["ClientNoteService"],
            client_note_service_pb2_grpc.add_ClientNoteServiceServicer_to_server,
            ClientNoteServicer(resources, keys),
        ),
        Servicer(
            waiver_service_pb2.DESCRIPTOR.services_by_name["WaiverService"],
            waiver_service_pb2_grpc.add_WaiverServiceServicer_to_server,
            WaiverServicer(resources, keys),
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
