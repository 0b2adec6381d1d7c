"""What finding a client among 100,000 costs the app role, against the administrator's query that nothing guards."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from statistics import quantiles
from uuid import uuid4

import asyncpg

from bench.report import Figure, figure
from bench.stack import Stack
from bench.usage import cpu_seconds
from services.booking.client_search import LIMIT

CLIENTS = 100_000
SEARCHES = 100
_FILL = """
INSERT INTO clients (tenant_id, id, display_name, email, phone, language, is_self, version)
SELECT $1, gen_random_uuid(),
    -- A hundred first names, as common as the most common ones are; last names of one's own.
    initcap(translate(substr(md5('first ' || n % 100), 1, 5), '0123456789', 'aeioulnrst')) || ' '
        || initcap(translate(substr(md5(n::text), 1, 9), '0123456789', 'aeioulnrst')),
    'client' || n || '@example.com', '+4930' || lpad(n::text, 7, '0'), '', false, 1
FROM generate_series(1, $2::int) n
"""
_GUARDED = "SELECT search_clients_v1($1, $2, $3)"
# The same for a search by the beginnings of words, which is the first thing that the function tries.
_UNGUARDED = """
SELECT id FROM clients
WHERE tenant_id = $1 AND client_search_text_v1(display_name, email, phone) LIKE '% ' || $2 || '%'
ORDER BY display_name, id LIMIT $3
"""


def measure(stack: Stack, rounds: int) -> tuple[Figure, str]:
    """Rounds of both in turn, one search at a time; the figure, and a line with the latencies of ours."""
    return asyncio.run(_measure(stack, rounds))


async def _measure(stack: Stack, rounds: int) -> tuple[Figure, str]:
    admin, app = await asyncpg.connect(stack.url("admin")), await asyncpg.connect(stack.url("app"))
    tenant = uuid4()
    try:
        await admin.execute(_FILL, tenant, CLIENTS)
        await admin.execute("VACUUM ANALYZE clients")
        await app.execute("SELECT set_config('app.tenants', $1, false)", f"{{{tenant}}}")
        rows = await admin.fetch("SELECT lower(display_name) FROM clients WHERE tenant_id = $1", tenant)
        names = [row[0] for row in rows]
        latencies, ratios, cpu_us = [], [], []
        # The first round warms up.
        for number in range(rounds + 1):
            words = [_typed(random.Random(f"{number} {turn}"), names) for turn in range(SEARCHES)]  # noqa: S311
            theirs = await _timed(lambda word: admin.fetch(_UNGUARDED, tenant, word, LIMIT), words)
            before = cpu_seconds(stack.process_ids)["postgres"]
            ours = await _timed(lambda word: app.fetch(_GUARDED, tenant, word, LIMIT), words)
            spent = cpu_seconds(stack.process_ids)["postgres"] - before
            if number:
                latencies += ours
                ratios.append(sum(ours) / sum(theirs))
                cpu_us.append(1e6 * spent / SEARCHES)
    finally:
        await admin.close()
        await app.close()
    steps = quantiles(latencies, n=100)
    line = f"a search among {CLIENTS} clients: p50 {1e3 * steps[49]:.1f} ms, p99 {1e3 * steps[98]:.1f} ms (goal: 50)"
    return figure("client_search_100k", "unguarded", ratios, cpu_us), line


def _typed(chance: random.Random, names: list[str]) -> str:
    """The beginning of a first or a last name, as somebody types it."""
    return chance.choice(chance.choice(names).split())[: chance.randint(2, 6)]


async def _timed(search: Callable[[str], Awaitable[object]], words: list[str]) -> list[float]:
    """Seconds of each search."""
    taken = []
    for word in words:
        started = time.perf_counter()
        await search(word)
        taken.append(time.perf_counter() - started)
    return taken
