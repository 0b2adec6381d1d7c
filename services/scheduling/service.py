"""The scheduling service, put together."""

from pathlib import Path
from typing import Any

from powerhouse.scheduling.v1 import (
    availability_service_pb2,
    availability_service_pb2_grpc,
    class_schedule_service_pb2,
    class_schedule_service_pb2_grpc,
    closure_service_pb2,
    closure_service_pb2_grpc,
    conflict_service_pb2,
    conflict_service_pb2_grpc,
    generation_service_pb2,
    generation_service_pb2_grpc,
    scheduling_service_pb2,
    scheduling_service_pb2_grpc,
)
from services.chassis.messaging.consumers import Consumers
from services.chassis.resources import Resources
from services.chassis.rpc.server import Servicer
from services.chassis.service import Service
from services.chassis.settings import ServiceSettings
from services.scheduling.jobs import jobs
from services.scheduling.rpc.availability_servicer import AvailabilityServicer
from services.scheduling.rpc.class_schedule_servicer import ClassScheduleServicer
from services.scheduling.rpc.closure_servicer import ClosureServicer
from services.scheduling.rpc.conflict_servicer import ConflictServicer
from services.scheduling.rpc.generation_servicer import GenerationServicer
from services.scheduling.rpc.scheduling_servicer import SchedulingServicer


def servicers(resources: Resources) -> list[Servicer]:
    parts = (resources.database, resources.pager, resources.stubs)
    return [
        _of(scheduling_service_pb2, scheduling_service_pb2_grpc, SchedulingServicer(*parts)),
        _of(class_schedule_service_pb2, class_schedule_service_pb2_grpc, ClassScheduleServicer(*parts)),
        _of(generation_service_pb2, generation_service_pb2_grpc, GenerationServicer(*parts)),
        _of(availability_service_pb2, availability_service_pb2_grpc, AvailabilityServicer(*parts)),
        _of(closure_service_pb2, closure_service_pb2_grpc, ClosureServicer(*parts)),
        _of(conflict_service_pb2, conflict_service_pb2_grpc, ConflictServicer(*parts)),
    ]


def _of(contract: Any, stubs: Any, implementation: Any) -> Servicer:
    """What serves the one service of a proto file, given the two modules made of it."""
    (descriptor,) = contract.DESCRIPTOR.services_by_name.values()
    return Servicer(descriptor, getattr(stubs, f"add_{descriptor.name}Servicer_to_server"), implementation)


SERVICE = Service(
    name="scheduling",
    folder=Path(__file__).parent,
    settings=ServiceSettings,
    servicers=servicers,
    consumers=Consumers(),
    jobs=jobs,
)
