"""A service and its three commands: `python -m services.<name> serve | work | migrate`."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import uvloop

from powerhouse.events.v1 import event_feed_pb2, event_feed_pb2_grpc
from services.chassis import config, telemetry
from services.chassis.auth.tokens import TokenVerifier
from services.chassis.jobs.registry import Jobs
from services.chassis.messaging.consumers import Consumers
from services.chassis.probes import serve_probes
from services.chassis.resources import Resources, open_resources
from services.chassis.rpc.server import GrpcServer, Servicer
from services.chassis.rpc.stubs import Tls
from services.chassis.settings import ServiceSettings

# Seconds that callers get to see NOT_SERVING, and that running calls get to end.
DRAIN_NOTICE = 0.5
DRAIN_GRACE = 8.0


@dataclass(frozen=True)
class Service:
    """What makes a service: its name, its settings, its servicers, what it consumes and what it does on time."""

    name: str
    # Folder of the service, which holds `migrations/`.
    folder: Path
    settings: type[ServiceSettings]
    servicers: Callable[[Resources], Sequence[Servicer]]
    consumers: Consumers
    jobs: Jobs


def main(service: Service) -> None:
    """The entry point of `python -m services.<name>`."""
    parser = argparse.ArgumentParser(prog=f"python -m services.{service.name}")
    parser.add_argument("command", choices=("serve", "work", "migrate"))
    command = parser.parse_args().command
    try:
        if command == "migrate":
            from services.chassis.migrate import prepare  # Alembic is dear to import and only needed here

            prepare(service)
        elif command == "serve":
            uvloop.run(_serve(service, config.load(service.settings)))
        else:
            from services.chassis.jobs.work import run_work  # Celery is dear to import and only needed here

            run_work(service)
    except config.ConfigurationError as error:
        sys.exit(f"{service.name} {command}: {error}")


async def _serve(service: Service, settings: ServiceSettings) -> None:
    telemetry.setup(service.name, "serve", settings.otlp_endpoint, sample_ratio=settings.trace_sample_ratio)
    log = telemetry.logger(__name__)
    resources = open_resources(service.name, settings)
    tls = Tls(settings.tls_dir)
    verifier = TokenVerifier(settings.token_jwks_file, service.name)
    from services.chassis.messaging.feed import EventFeedServicer

    feed = Servicer(
        event_feed_pb2.DESCRIPTOR.services_by_name["EventFeed"],
        event_feed_pb2_grpc.add_EventFeedServicer_to_server,
        EventFeedServicer(resources.database),
    )
    server = GrpcServer([*service.servicers(resources), feed], verifier, with_reflection=not settings.production)
    port = server.listen(settings.bind_host, settings.grpc_port, tls, mutual=True)
    public_port = server.listen(settings.bind_host, settings.public_grpc_port, tls, mutual=False)
    await server.start()
    started = True
    probes = serve_probes(settings.metrics_port, lambda: started, settings.bind_host)
    log.info("serving", port=port, public_port=public_port, metrics_port=probes.server_port)

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    log.info("draining")
    started = False
    await server.drain(DRAIN_GRACE, DRAIN_NOTICE)
    await resources.close()
    telemetry.flush()
    log.info("stopped")
