"""The gate before a provider: so many calls a second, and none while it is down. Of one process, for one account."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from aiolimiter import AsyncLimiter

from services.chassis.clock import monotonic
from services.notify.providers.answers import Deferred, NotAsked, NotReached, NotSent, Unclear

# Calls in a row without an answer after which a provider counts as down.
FAILURES = 5
# Seconds for which it is left alone then.
PAUSE = 30.0


class Gate:
    """Every call of a provider goes through it."""

    def __init__(self, whom: str, rate: float, clock: Callable[[], float] = monotonic) -> None:
        """`rate`: calls a second; those of one second may come at once."""
        self._whom, self._clock = whom, clock
        self._limiter = AsyncLimiter(max(rate, 1), max(1 / rate, 1))
        self._failures = 0
        self._closed_until = 0.0

    @property
    def closed_for(self) -> float:
        """Seconds until the provider may be called again; 0 while it may."""
        return max(self._closed_until - self._clock(), 0.0)

    @asynccontextmanager
    async def passing(self) -> AsyncIterator[None]:
        """One call. Waits its turn; raises NotAsked while the provider has its pause.

        After a pause for failures one call goes first, and the others wait for what it meets.
        """
        if pause := self.closed_for:
            raise NotAsked(f"{self._whom} gets a pause", pause)
        if self._failures >= FAILURES:
            self._close(PAUSE)
        await self._limiter.acquire()
        try:
            yield
        except (Unclear, NotReached):
            self._failures += 1
            if self._failures >= FAILURES:
                self._close(PAUSE)
            raise
        except NotSent as answer:
            self._open()
            if isinstance(answer, Deferred) and answer.retry_after:
                self._close(answer.retry_after)
            raise
        self._open()

    def _close(self, seconds: float) -> None:
        self._closed_until = self._clock() + seconds

    def _open(self) -> None:
        self._failures, self._closed_until = 0, 0.0
