"""`python -m embedded.sandboxes.stripe`: serves until SIGTERM."""

import argparse
import os
import signal
import sys
from pathlib import Path

import uvicorn

from embedded.sandboxes.stripe.server import StripeSandbox, log
from embedded.sandboxes.stripe.store import Store
from services.chassis.clock import make_clock


def main() -> None:
    """Serves until SIGTERM."""
    parser = argparse.ArgumentParser(prog="python -m embedded.sandboxes.stripe")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--public-url", help="where browsers find the pages, if not at the port itself")
    parser.add_argument("--webhook-url", help="told of every event, signed with STRIPE_WEBHOOK_SECRET")
    arguments = parser.parse_args()
    keys = [key.strip() for key in os.environ.get("STRIPE_API_KEY", "").split(",") if key.strip()]
    if not keys or not all(key.startswith("sk_") for key in keys):
        sys.exit("STRIPE_API_KEY must hold the keys that callers will show, each beginning with sk_.")
    clock_file = os.environ.get("POWERHOUSE_CLOCK_FILE")
    clock = make_clock(Path(clock_file) if clock_file else None, production=False)
    base_url = (arguments.public_url or f"http://127.0.0.1:{arguments.port}").rstrip("/")
    sandbox = StripeSandbox(Store(arguments.directory), keys, clock, base_url)
    if arguments.webhook_url:
        sandbox.listen(arguments.webhook_url, os.environ["STRIPE_WEBHOOK_SECRET"])
    log("listening", port=arguments.port)
    # uvicorn drains and then raises the signal once more, for the handler that was there before.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    uvicorn.run(
        sandbox.application(),
        host="127.0.0.1",
        port=arguments.port,
        log_level="warning",
        access_log=False,
        # Longer than callers keep idle connections, so that none is closed while a request goes out on it.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )


if __name__ == "__main__":
    main()
