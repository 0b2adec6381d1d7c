"""Providers that send nothing: their wires on this machine, with a page to read what would have been sent.

`python -m embedded.sandboxes --port 8025 --directory var/messages`. The keys that callers must show are in
RESEND_API_KEY, SENDGRID_API_KEY, TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN; a provider without a key lets nobody in.
With `--webhooks http://127.0.0.1:8080/webhooks` it can tell what becomes of messages, signed by RESEND_WEBHOOK_SECRETS,
SENDGRID_WEBHOOK_PRIVATE_KEY and Twilio's token, and with `--deliver` it does so by itself for each message. With
`--smtp-port` it is a mail server, too.
"""

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette

from embedded.sandboxes.answers import Refusal, log, refused
from embedded.sandboxes.control import Control
from embedded.sandboxes.faults import Faults
from embedded.sandboxes.messages import Messages
from embedded.sandboxes.push import PushSandbox
from embedded.sandboxes.resend import ResendSandbox
from embedded.sandboxes.sendgrid import SendGridSandbox
from embedded.sandboxes.smtp import SmtpSandbox
from embedded.sandboxes.twilio import TwilioSandbox
from embedded.sandboxes.webhooks import Signatures, Webhooks


async def serve(arguments: argparse.Namespace) -> None:
    """Serves until SIGTERM."""
    key = os.environ.get
    messages, faults = Messages(arguments.directory), Faults()
    account, token = key("TWILIO_ACCOUNT_SID", ""), key("TWILIO_AUTH_TOKEN", "")
    signatures = Signatures(
        resend_secret=key("RESEND_WEBHOOK_SECRETS", "").partition(",")[0],
        sendgrid_private_key=key("SENDGRID_WEBHOOK_PRIVATE_KEY", ""),
        twilio_account=account,
        twilio_token=token,
    )
    webhooks = Webhooks(messages, faults, signatures, arguments.webhooks)
    if arguments.deliver:
        messages.accepted = webhooks.follow
    parts = (
        ResendSandbox(messages, faults, key("RESEND_API_KEY", "")),
        SendGridSandbox(messages, faults, key("SENDGRID_API_KEY", "")),
        TwilioSandbox(messages, faults, account, token),
        PushSandbox(messages, faults),
        Control(messages, faults, webhooks),
    )
    application = Starlette(
        routes=[route for part in parts for route in part.routes()], exception_handlers={Refusal: refused}
    )
    if arguments.smtp_port:
        await SmtpSandbox(messages, faults).listen(arguments.smtp_port)
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            host="127.0.0.1",
            port=arguments.port,
            log_level="warning",
            access_log=False,
            # Longer than callers keep idle connections, so that none is closed while a request goes out on it.
            timeout_keep_alive=75,
            lifespan="off",
            timeout_graceful_shutdown=5,
        )
    )
    log("listening", port=arguments.port)
    await server.serve()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m embedded.sandboxes")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--smtp-port", type=int)
    parser.add_argument("--webhooks", default="")
    parser.add_argument("--deliver", action="store_true")
    # uvicorn drains and then raises the signal once more, for the handler that was there before.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
