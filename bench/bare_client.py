"""What the reminders are compared with: the same mails to the same endpoint by a program that does nothing else.

It is what a team writes that only has to send: one aiohttp session, the library that sending uses too, with connections
kept, a body as large as a reminder's that is encoded once for each mail, a key for each, the answer read and parsed.
It knows no database, no template and nobody's wishes, and forgets everything when it ends.
`python -m bench.bare_client PORT COUNT` prints the seconds it took.
"""

import asyncio
import sys
from collections.abc import Iterator
from time import perf_counter
from uuid import uuid4

import aiohttp
import uvloop

from services.notify.providers.resend import MOST_AT_ONCE

_TEXT = "Hello, this is a reminder of your class. " * 40


async def _send(port: int, count: int) -> float:
    started = perf_counter()
    connector = aiohttp.TCPConnector(limit=MOST_AT_ONCE)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as session:
        numbers = iter(range(count))
        await asyncio.gather(*(_send_some(session, numbers) for _ in range(MOST_AT_ONCE)))
    return perf_counter() - started


async def _send_some(session: aiohttp.ClientSession, numbers: Iterator[int]) -> None:
    """The next mail when the last one was answered."""
    for number in numbers:
        mail = {
            "from": "a@bench.example",
            "to": [f"b{number}@bench.example"],
            "subject": "Reminder",
            "text": _TEXT,
            "html": _TEXT,
        }
        async with session.post("/emails", json=mail, headers={"Idempotency-Key": uuid4().hex}) as answer:
            answer.raise_for_status()
            await answer.json()


if __name__ == "__main__":
    print(uvloop.run(_send(int(sys.argv[1]), int(sys.argv[2]))))
