"""What the reminders are compared with: the same mails to the same endpoint by a program that does nothing else.

`python -m bench.bare_client PORT COUNT` prints the seconds it took.
"""

import asyncio
import json
import sys
from time import perf_counter
from typing import cast
from uuid import uuid4

import uvloop

# As many as the endpoint's latency leaves idle for a rate that a processor can reach.
CONNECTIONS = 500
_TEXT = "Hello, this is a reminder of your class. " * 40
_BODY = json.dumps(
    {"from": "a@bench.example", "to": ["b@bench.example"], "subject": "Reminder", "text": _TEXT, "html": _TEXT}
).encode()


class Sender(asyncio.Protocol):
    """One connection, which sends the next mail when the last one was answered."""

    def __init__(self, left: list[int], done: "asyncio.Future[None]") -> None:
        self._left, self._done = left, done

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        # Answers are short: each comes in one piece.
        self._left[1] -= 1
        if self._left[1] == 0:
            self._done.set_result(None)
        self._next()

    def _next(self) -> None:
        if self._left[0]:
            self._left[0] -= 1
            self._transport.write(
                b"POST /emails HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
                b"Idempotency-Key: %s\r\nContent-Length: %d\r\n\r\n%s" % (uuid4().hex.encode(), len(_BODY), _BODY)
            )


async def _send(port: int, count: int) -> float:
    loop = asyncio.get_running_loop()
    # To be begun, to be answered.
    left, done = [count, count], loop.create_future()
    started = perf_counter()
    connections = [
        loop.create_connection(lambda: Sender(left, done), "127.0.0.1", port) for _ in range(min(CONNECTIONS, count))
    ]
    await asyncio.gather(*connections)
    await done
    return perf_counter() - started


if __name__ == "__main__":
    print(uvloop.run(_send(int(sys.argv[1]), int(sys.argv[2]))))
