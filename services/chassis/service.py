"""What makes a service. Its `__main__` hands it to `services.chassis.main`."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.chassis.jobs.registry import Jobs
from services.chassis.messaging.consumers import Consumers
from services.chassis.resources import Resources
from services.chassis.rpc.server import Servicer
from services.chassis.settings import ServiceSettings


@dataclass(frozen=True)
class Service:
    """Its name, its settings, its servicers, what it consumes and what it does on time."""

    name: str
    # Folder of the service, which holds `migrations/`.
    folder: Path
    settings: type[ServiceSettings]
    servicers: Callable[[Resources], Sequence[Servicer]]
    consumers: Consumers
    jobs: Jobs
    # Of tables whose rows are their own jobs.
    queues: Sequence[Jobs] = ()
