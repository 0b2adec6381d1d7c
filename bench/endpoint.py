"""A mail provider that takes 50 ms for each mail and remembers only how often: `python -m bench.endpoint PORT`.

`POST /emails` accepts, `GET /accepted` tells how many calls there were and of how many keys, `POST /forget` forgets.
"""

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Mapping
from typing import cast

import uvloop

LATENCY = 0.05


class Endpoint(asyncio.Protocol):
    """One connection, on which requests follow each other."""

    def __init__(self, accepted: Counter[str]) -> None:
        self._accepted = accepted

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport, self._buffer = cast(asyncio.Transport, transport), b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (head_end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:head_end].decode("latin-1").lower()
            length = int(_header(head, "content-length") or 0)
            end = head_end + 4 + length
            if len(self._buffer) < end:
                return
            self._buffer = self._buffer[end:]
            self._answer(head)

    def _answer(self, head: str) -> None:
        if head.startswith("post /emails"):
            key = _header(head, "idempotency-key")
            self._accepted[key] += 1
            asyncio.get_running_loop().call_later(LATENCY, self._reply, {"id": key})
        elif head.startswith("post /forget"):
            self._accepted.clear()
            self._reply({})
        else:
            self._reply({"calls": self._accepted.total(), "keys": len(self._accepted)})

    def _reply(self, answer: Mapping[str, object]) -> None:
        body = json.dumps(answer).encode()
        self._transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
        )


def _header(head: str, name: str) -> str:
    return head.partition(f"\r\n{name}:")[2].partition("\r\n")[0].strip()


async def _serve(port: int) -> None:
    accepted: Counter[str] = Counter()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Endpoint(accepted), "127.0.0.1", port, backlog=2000)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1])))
