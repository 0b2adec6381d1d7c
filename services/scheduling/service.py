"""The scheduling service, put together."""

from pathlib import Path

from powerhouse.scheduling.v1 import scheduling_service_pb2, scheduling_service_pb2_grpc
from services.chassis.messaging.consumers import Consumers
from services.chassis.resources import Resources
from services.chassis.rpc.server import Servicer
from services.chassis.service import Service
from services.chassis.settings import ServiceSettings
from services.scheduling.jobs import jobs
from services.scheduling.rpc.scheduling_servicer import SchedulingServicer


def servicers(resources: Resources) -> list[Servicer]:
    return [
        Servicer(
            scheduling_service_pb2.DESCRIPTOR.services_by_name["SchedulingService"],
            scheduling_service_pb2_grpc.add_SchedulingServiceServicer_to_server,
            SchedulingServicer(resources.database, resources.pager, resources.stubs),
        )
    ]


SERVICE = Service(
    name="scheduling",
    folder=Path(__file__).parent,
    settings=ServiceSettings,
    servicers=servicers,
    consumers=Consumers(),
    jobs=jobs,
)
