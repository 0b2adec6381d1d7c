"""Keeps a family of processes running, merges their lines, ends them in order. One thread, standard library only."""

import os
import selectors
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Self

from embedded.children import Child
from embedded.console import Console
from embedded.processes import Unusable

# Seconds that a stage has to stop before it is killed.
GRACE = 10.0


class Stopped(Exception):
    """Somebody asked us to stop: Ctrl-C, SIGTERM or a closed terminal."""


class Supervisor:
    """While it is entered it takes over the signals of the process; leaving it ends every child."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._children: list[Child] = []
        self._selector = selectors.DefaultSelector()
        self._stop_asked = False
        self._stopping = False

    def __enter__(self) -> Self:
        wake, self._waker = os.pipe()
        for end in (wake, self._waker):
            os.set_blocking(end, False)
        self._selector.register(wake, selectors.EVENT_READ, None)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)
        # A handler of any kind makes the end of a child wake the loop.
        signal.signal(signal.SIGCHLD, lambda *_: None)
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping = True
        for stage in sorted({child.stage for child in self._children}):
            self._end([child for child in self._children if child.stage == stage])
        signal.set_wakeup_fd(-1)
        self._selector.close()

    def keep(self, children: Iterable[Child]) -> None:
        """Takes charge of children until the end; starts those that do not run yet. Raises Unusable and OSError."""
        for child in children:
            if child.output:
                self._selector.register(child.output.reader, selectors.EVENT_READ, child)
            self._children.append(child)
            if child.process is None:
                child.start()

    def run(self, child: Child) -> int:
        """Runs a child to its end and returns its exit code. Raises Stopped."""
        child.once = True
        self.keep([child])
        self.wait(lambda: child.exit_code is not None)
        self._children.remove(child)
        if child.output:
            self._selector.unregister(child.output.reader)
            child.output.close()
        return child.exit_code or 0

    def wait_until_ready(self, seconds: float) -> None:
        """Waits until every child is ready. Raises Unusable naming who was not in time, and Stopped."""
        deadline = time.monotonic() + seconds
        self.wait(lambda: not self._late() or time.monotonic() > deadline)
        if late := self._late():
            names = "\n".join(
                f"  {child.name}: {child.output.log if child.output else 'see its log'}" for child in late
            )
            raise Unusable(f"Not ready after {seconds:.0f} s; their logs say why:\n{names}")

    def wait(self, until: Callable[[], bool]) -> None:
        """Carries lines and restarts children until the condition holds. Raises Stopped."""
        while not until():
            if self._stop_asked and not self._stopping:
                raise Stopped
            for key, _ in self._selector.select(timeout=0.2):
                if key.data is None:
                    with suppress(BlockingIOError):
                        os.read(key.fd, 512)
                else:
                    self._carry(key.data)
            for child in self._children:
                self._look_after(child)

    def _look_after(self, child: Child) -> None:
        code = child.bury()
        if code is not None:
            self._carry(child)
            if not child.once and not self._stopping:
                reason = f"signal {-code}" if code < 0 else f"exit code {code}"
                self._restart_later(child, f"ended unasked ({reason})")
        elif child.due_at is not None and time.monotonic() >= child.due_at and not self._stopping:
            try:
                child.start()
            except (Unusable, OSError) as error:
                self._restart_later(child, f"did not start ({error})")

    def _restart_later(self, child: Child, reason: str) -> None:
        pause = child.postpone()
        self._console.say(f"{child.name} {reason}; starting it again in {pause:.1f} s", "warning")

    def _carry(self, child: Child) -> None:
        if child.output:
            for line in child.output.lines():
                self._console.log(child.name, line)

    def _late(self) -> list[Child]:
        return [child for child in self._children if not child.is_ready()]

    def _end(self, children: list[Child]) -> None:
        for child in children:
            if child.process is not None:
                child.process.send_signal(child.stop_signal)
        deadline = time.monotonic() + GRACE
        self.wait(lambda: not any(child.process for child in children) or time.monotonic() > deadline)
        for child in children:
            if child.process is not None:
                self._console.say(f"{child.name} did not stop within {GRACE:.0f} s and is killed", "warning")
                child.process.kill()
        self.wait(lambda: not any(child.process for child in children))

    def _ask_to_stop(self, _number: int, _frame: object) -> None:
        self._stop_asked = True
