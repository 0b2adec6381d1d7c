"""GenerationService."""

from powerhouse.scheduling.v1.generation_service_pb2_grpc import GenerationServiceServicer
from services.scheduling.rpc.generation_methods import GenerationMethods


class GenerationServicer(GenerationMethods, GenerationServiceServicer):
    """All of its methods."""
