"""What booking consists of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from powerhouse.booking.v1 import (
    attendance_service_pb2,
    attendance_service_pb2_grpc,
    booking_service_pb2,
    booking_service_pb2_grpc,
    calendar_service_pb2,
    calendar_service_pb2_grpc,
    client_note_service_pb2,
    client_note_service_pb2_grpc,
    client_service_pb2,
    client_service_pb2_grpc,
    credit_service_pb2,
    credit_service_pb2_grpc,
    drop_in_service_pb2,
    drop_in_service_pb2_grpc,
    erasure_service_pb2,
    erasure_service_pb2_grpc,
    export_service_pb2,
    export_service_pb2_grpc,
    fee_service_pb2,
    fee_service_pb2_grpc,
    import_service_pb2,
    import_service_pb2_grpc,
    sale_service_pb2,
    sale_service_pb2_grpc,
    series_service_pb2,
    series_service_pb2_grpc,
    session_change_service_pb2,
    session_change_service_pb2_grpc,
    waitlist_service_pb2,
    waitlist_service_pb2_grpc,
    waiver_service_pb2,
    waiver_service_pb2_grpc,
)
from services.booking.consumers import consumers
from services.booking.jobs import jobs
from services.booking.person_keys import PersonKeys
from services.booking.rpc.attendance_servicer import AttendanceServicer
from services.booking.rpc.booking_servicer import BookingServicer
from services.booking.rpc.calendar_servicer import CalendarServicer
from services.booking.rpc.client_note_servicer import ClientNoteServicer
from services.booking.rpc.client_servicer import ClientServicer
from services.booking.rpc.credit_servicer import CreditServicer
from services.booking.rpc.drop_in_servicer import DropInServicer
from services.booking.rpc.erasure_servicer import ErasureServicer
from services.booking.rpc.export_servicer import ExportServicer
from services.booking.rpc.fee_servicer import FeeServicer
from services.booking.rpc.import_servicer import ImportServicer
from services.booking.rpc.sale_servicer import SaleServicer
from services.booking.rpc.series_servicer import SeriesServicer
from services.booking.rpc.session_change_servicer import SessionChangeServicer
from services.booking.rpc.waitlist_servicer import WaitlistServicer
from services.booking.rpc.waiver_servicer import WaiverServicer
from services.booking.settings import BookingSettings
from services.chassis.resources import Resources
from services.chassis.rpc.server import Servicer
from services.chassis.service import Service


def _servicers(resources: Resources) -> Sequence[Servicer]:
    keys = PersonKeys(resources.settings)
    return [
        _of(attendance_service_pb2, attendance_service_pb2_grpc, AttendanceServicer(resources)),
        _of(booking_service_pb2, booking_service_pb2_grpc, BookingServicer(resources)),
        _of(calendar_service_pb2, calendar_service_pb2_grpc, CalendarServicer(resources)),
        _of(client_note_service_pb2, client_note_service_pb2_grpc, ClientNoteServicer(resources, keys)),
        _of(client_service_pb2, client_service_pb2_grpc, ClientServicer(resources)),
        _of(credit_service_pb2, credit_service_pb2_grpc, CreditServicer(resources)),
        _of(drop_in_service_pb2, drop_in_service_pb2_grpc, DropInServicer(resources)),
        _of(erasure_service_pb2, erasure_service_pb2_grpc, ErasureServicer(resources)),
        _of(export_service_pb2, export_service_pb2_grpc, ExportServicer(resources)),
        _of(fee_service_pb2, fee_service_pb2_grpc, FeeServicer(resources)),
        _of(import_service_pb2, import_service_pb2_grpc, ImportServicer(resources)),
        _of(sale_service_pb2, sale_service_pb2_grpc, SaleServicer(resources)),
        _of(series_service_pb2, series_service_pb2_grpc, SeriesServicer(resources)),
        _of(session_change_service_pb2, session_change_service_pb2_grpc, SessionChangeServicer(resources)),
        _of(waitlist_service_pb2, waitlist_service_pb2_grpc, WaitlistServicer(resources)),
        _of(waiver_service_pb2, waiver_service_pb2_grpc, WaiverServicer(resources, keys)),
    ]


def _of(contract: Any, stubs: Any, implementation: Any) -> Servicer:
    """What serves the one service of a proto file, given the two modules made of it."""
    (descriptor,) = contract.DESCRIPTOR.services_by_name.values()
    return Servicer(descriptor, getattr(stubs, f"add_{descriptor.name}Servicer_to_server"), implementation)


SERVICE = Service(
    name="booking",
    folder=Path(__file__).parent,
    settings=BookingSettings,
    servicers=_servicers,
    consumers=consumers,
    jobs=jobs,
)
