"""A collector that takes traces and forgets them: `python -m bench.sink PORT`."""

import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc

_TRACES = "opentelemetry.proto.collector.trace.v1.TraceService"


def main(port: int) -> None:
    """Serves until it is ended."""
    server = grpc.server(ThreadPoolExecutor(1))
    swallow: Any = grpc.unary_unary_rpc_method_handler(lambda _request, _context: b"")
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_TRACES, {"Export": swallow}),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main(int(sys.argv[1]))
