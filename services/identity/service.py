"""identity: accounts, credentials, roles. The only service that signs tokens."""

from collections.abc import Sequence
from pathlib import Path

from powerhouse.identity.v1 import identity_service_pb2, identity_service_pb2_grpc
from services.chassis.resources import Resources
from services.chassis.rpc.server import Servicer
from services.chassis.service import Service
from services.identity.consumers import consumers
from services.identity.jobs import jobs
from services.identity.rpc.identity_servicer import IdentityServicer
from services.identity.settings import IdentitySettings


def _servicers(resources: Resources) -> Sequence[Servicer]:
    return [
        Servicer(
            identity_service_pb2.DESCRIPTOR.services_by_name["IdentityService"],
            identity_service_pb2_grpc.add_IdentityServiceServicer_to_server,
            IdentityServicer(resources),
        )
    ]


SERVICE = Service(
    name="identity",
    folder=Path(__file__).parent,
    settings=IdentitySettings,
    servicers=_servicers,
    consumers=consumers,
    jobs=jobs,
)
