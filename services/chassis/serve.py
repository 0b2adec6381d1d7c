"""The `serve` process: answers gRPC on two ports until told to stop, then drains."""

import asyncio
import signal

from powerhouse.events.v1 import event_feed_pb2, event_feed_pb2_grpc
from services.chassis import telemetry
from services.chassis.auth.tokens import TokenVerifier
from services.chassis.messaging.feed import EventFeedServicer
from services.chassis.probes import serve_probes
from services.chassis.resources import open_resources
from services.chassis.rpc.server import GrpcServer, Servicer
from services.chassis.rpc.stubs import Tls
from services.chassis.service import Service
from services.chassis.settings import ServiceSettings

# Seconds that callers get to see NOT_SERVING, and that running calls get to end.
DRAIN_NOTICE = 0.5
DRAIN_GRACE = 8.0


async def serve(service: Service, settings: ServiceSettings) -> None:
    """Returns after SIGTERM or SIGINT, when running calls have ended."""
    telemetry.setup(service.name, "serve", settings.otlp_endpoint, sample_ratio=settings.trace_sample_ratio)
    log = telemetry.logger(__name__)
    resources = open_resources(service.name, settings)
    tls = Tls(settings.tls_dir)
    verifier = TokenVerifier(settings.token_jwks_file, service.name)
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
