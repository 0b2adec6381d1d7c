"""Doing something again and again for as long as a process lives, whatever else is away."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from contextlib import suppress

from services.chassis.outages import is_outage
from services.chassis.telemetry import logger

log = logger(__name__)

_LONGEST_PAUSE = 5.0


class Loop:
    """Runs `step` every `interval` seconds, at once when woken, and again while it returns True (there is more).

    An outage slows it down and is logged twice: when it begins and when it is over.
    """

    def __init__(self, name: str, step: Callable[[], Awaitable[bool]], interval: float) -> None:
        self._name, self._step, self._interval = name, step, interval
        self._work = asyncio.Event()
        self._failures = 0

    def wake(self) -> None:
        """There is work now. Call from the event loop."""
        self._work.set()

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            self._work.clear()
            try:
                more = await self._step()
            except Exception as error:
                await asyncio.sleep(self._note_failure(error))
                continue
            if self._failures:
                log.info("loop_resumed", loop=self._name, failures=self._failures)
                self._failures = 0
            if not more:
                await self._pause()

    async def _pause(self) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._work.wait(), self._interval)

    def _note_failure(self, error: Exception) -> float:
        """Logs the first failure of a row; returns the seconds to wait, longer each time, with jitter."""
        if not self._failures:
            expected = is_outage(error)
            log.warning("loop_interrupted", loop=self._name, error=type(error).__name__, exc_info=not expected)
        self._failures += 1
        return min(_LONGEST_PAUSE, 0.1 * 2.0**self._failures) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
