"""Webhooks verified and inserted, and nothing else: `python -m bench.bare_intake PORT TLS_DIR SECRET DATABASE_URL`.

What the intake of payments is compared with: its method over the same mTLS, the same check of signatures, one INSERT.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import asyncpg
import grpc
import uvloop

from powerhouse.payments.v1 import webhook_service_pb2 as pb
from powerhouse.payments.v1.webhook_service_pb2_grpc import (
    WebhookServiceServicer,
    add_WebhookServiceServicer_to_server,
)
from services.chassis.rpc.stubs import Tls
from services.payments.providers.stripe_gateway import StripeGateway

_INSERT = (
    "INSERT INTO provider_events (provider, external_account, external_id, type, payload, source, receive_time)"
    " VALUES ('stripe', $1, $2, $3, $4, 'WEBHOOK', now())"
)


class BareIntake(WebhookServiceServicer):
    """One INSERT for each webhook, over as many connections as payments has."""

    def __init__(self, secret: str, pool: "asyncpg.Pool[asyncpg.Record]") -> None:
        self._gateway, self._pool = StripeGateway("sk_test_bench", "http://127.0.0.1", [secret]), pool

    async def ReceiveStripeEvent(
        self, request: pb.ReceiveStripeEventRequest, context: Any
    ) -> pb.ReceiveStripeEventResponse:
        told = self._gateway.verify(request.body.data, request.headers.get("stripe-signature", ""))
        await self._pool.execute(_INSERT, told.external_account, told.external_id, told.type, json.dumps(told.payload))
        return pb.ReceiveStripeEventResponse()


async def _serve(port: int, tls_dir: Path, secret: str, database_url: str) -> None:
    async with asyncpg.create_pool(database_url, min_size=1, max_size=8) as pool:
        server = grpc.aio.server()
        add_WebhookServiceServicer_to_server(BareIntake(secret, pool), server)
        server.add_secure_port(f"127.0.0.1:{port}", Tls(tls_dir).server(mutual=True))
        await server.start()
        print("serving", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]))
