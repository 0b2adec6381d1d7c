"""`python -m gateway`: serves HTTP until SIGTERM or SIGINT, then lets running requests end."""

import signal
import socket
import sys

import uvicorn
import uvloop

from gateway.app import create_app
from gateway.protocol import BoundedProtocol
from gateway.settings import Settings
from gateway.upstreams import Upstreams, connect
from services.chassis import config, telemetry
from services.chassis.probes import serve_probes

# Seconds that running requests get to end.
DRAIN_GRACE = 8
KEEP_ALIVE = 30
# Streams and idle browsers included; who comes then reads 503.
MAX_CONNECTIONS = 5000


class _Server(uvicorn.Server):
    """Ends streams when it begins to drain: they would last longer than the drain may."""

    def __init__(self, upstreams: Upstreams, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._upstreams = upstreams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._upstreams.ending.set()
        await super().shutdown(sockets)


async def serve(settings: Settings) -> None:
    """Runs until a signal asks it to stop."""
    telemetry.setup("gateway", "gateway", settings.otlp_endpoint, sample_ratio=settings.trace_sample_ratio)
    upstreams = connect(settings)
    server = _Server(
        upstreams,
        uvicorn.Config(
            create_app(settings, upstreams),
            host=settings.bind_host,
            port=settings.port,
            http=BoundedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=KEEP_ALIVE,
            limit_concurrency=MAX_CONNECTIONS,
            timeout_graceful_shutdown=DRAIN_GRACE,
        ),
    )
    probes = serve_probes(settings.metrics_port, lambda: server.started and not server.should_exit, settings.bind_host)
    telemetry.logger(__name__).info("serving", port=settings.port, metrics_port=probes.server_port)
    await server.serve()
    await upstreams.close()
    probes.shutdown()
    telemetry.flush()


def main() -> None:
    """Ends with status 0 after a signal and the drain it asks for."""
    # uvicorn drains on these signals, then raises them again for whoever handled them before: nobody shall die of it.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: None)
    try:
        settings = config.load(Settings)
    except config.ConfigurationError as error:
        sys.exit(f"gateway: {error}")
    uvloop.run(serve(settings))


if __name__ == "__main__":
    main()
