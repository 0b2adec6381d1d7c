"""SchedulingService: the methods of each noun are in the module of its name."""

from powerhouse.scheduling.v1.scheduling_service_pb2_grpc import SchedulingServiceServicer
from services.scheduling.rpc.class_session_methods import ClassSessionMethods
from services.scheduling.rpc.class_type_methods import ClassTypeMethods
from services.scheduling.rpc.instructor_methods import InstructorMethods
from services.scheduling.rpc.location_methods import LocationMethods
from services.scheduling.rpc.room_methods import RoomMethods
from services.scheduling.rpc.studio_methods import StudioMethods


class SchedulingServicer(
    StudioMethods,
    LocationMethods,
    RoomMethods,
    ClassTypeMethods,
    InstructorMethods,
    ClassSessionMethods,
    SchedulingServiceServicer,
):
    """All of them, behind one proto service."""
