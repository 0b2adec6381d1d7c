"""ClassScheduleService: the methods are in the modules of their nouns."""

from powerhouse.scheduling.v1.class_schedule_service_pb2_grpc import ClassScheduleServiceServicer
from services.scheduling.rpc.class_schedule_methods import ClassScheduleMethods
from services.scheduling.rpc.series_edit_methods import SeriesEditMethods


class ClassScheduleServicer(ClassScheduleMethods, SeriesEditMethods, ClassScheduleServiceServicer):
    """All of them, behind one proto service."""
