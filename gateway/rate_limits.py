"""How much one caller may ask for: requests a second, streams at once. Counted per replica and in bounded memory."""

from __future__ import annotations

import ipaddress
from collections import Counter, OrderedDict
from collections.abc import Callable

from services.chassis.clock import monotonic
from services.chassis.errors import ResourceExhausted

# Seconds of the rate that may come at once after a rest.
BURST = 4.0
# Callers remembered; who is forgotten starts with a full bucket.
REMEMBERED = 50_000
MAX_STREAMS = 1000
# A browser opens six connections to a host, and some people have several tabs and devices.
MAX_STREAMS_EACH = 20


class RateLimit:
    """A token bucket for each key."""

    def __init__(self, rate: float, remembered: int = REMEMBERED) -> None:
        """`rate`: requests a second; 0 for no limit."""
        self._rate, self._size, self._remembered = rate, rate * BURST, remembered
        # Key → tokens left at that time of the monotonic clock; least recently used first.
        self._buckets: OrderedDict[str | bytes, tuple[float, float]] = OrderedDict()

    def take(self, key: str | bytes) -> None:
        """Counts one request. Raises ResourceExhausted when there were too many."""
        if not self._rate:
            return
        now = monotonic()
        left, at = self._buckets.get(key, (self._size, now))
        left = min(self._size, left + (now - at) * self._rate)
        allowed = left >= 1
        self._buckets[key] = (left - allowed, now)
        self._buckets.move_to_end(key)
        if len(self._buckets) > self._remembered:
            self._buckets.popitem(last=False)
        if not allowed:
            raise ResourceExhausted(
                f"at most {self._rate:g} requests a second", reason="RATE_LIMITED", retry_after=(1 - left) / self._rate
            )


class StreamLimit:
    """How many streams are open, in all and by each caller."""

    def __init__(self, total: int = MAX_STREAMS, each: int = MAX_STREAMS_EACH) -> None:
        self._total, self._each = total, each
        self._open: Counter[str | bytes] = Counter()

    def take(self, key: str | bytes) -> Callable[[], None]:
        """Counts a stream until what is returned is called. Raises ResourceExhausted when there are too many."""
        if self._open[key] >= self._each or self._open.total() >= self._total:
            self._forget(key)
            raise ResourceExhausted("too many streams are open", reason="TOO_MANY_STREAMS", retry_after=5)
        self._open[key] += 1

        def give_back() -> None:
            self._open[key] -= 1
            self._forget(key)

        return give_back

    def _forget(self, key: str | bytes) -> None:
        if not self._open[key]:
            del self._open[key]


def neighbourhood(address: str) -> str:
    """What counts as one stranger: an IPv4 address, or the /64 that one IPv6 subscriber has."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if parsed.version == 6:
        return str(parsed.ipv4_mapped or ipaddress.ip_network((parsed, 64), strict=False))
    return address
