"""Natural batching: requests that wait for the database at the same moment share one statement.

There is no timer. A request goes at once when a lane is free; those that come while all lanes are busy go together when
the next one is. Alone it is as fast as without, in a crowd the round trip and the commit are shared.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Hashable, Sequence
from contextvars import Context
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

Request = TypeVar("Request")
Answer = TypeVar("Answer")

# Two keep the database busy while an answer is on its way back; more only make the batches smaller.
LANES = 2
LARGEST = 128


@dataclass
class _Waiting(Generic[Request, Answer]):
    request: Request
    keys: Collection[Hashable]
    answer: "asyncio.Future[Answer]"


class Batches(Generic[Request, Answer]):
    """Runs requests in batches. `run` takes several and returns an answer for each, in their order.

    `keys` tells what a request must have for itself: two that share a key never go in one batch. When a batch fails
    each of its requests runs alone, beside the lanes, so that one does not spoil it for the others or hold them up;
    `run` must do all or nothing.
    """

    def __init__(
        self,
        run: Callable[[Sequence[Request]], Awaitable[Sequence[Answer]]],
        keys: Callable[[Request], Collection[Hashable]],
        largest: int = LARGEST,
    ) -> None:
        self._run, self._keys, self._largest = run, keys, largest
        self._waiting: deque[_Waiting[Request, Answer]] = deque()
        # Lanes that take batches. One that has ended is among the tasks for a moment still, in which callers ask again.
        self._lanes = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def ask(self, request: Request) -> Answer:
        """The answer to one request. Raises what running it alone raises.

        Who is cancelled before the request has gone leaves no trace; later it may have been done.
        """
        waiting = _Waiting[Request, Answer](request, self._keys(request), asyncio.get_running_loop().create_future())
        self._waiting.append(waiting)
        if self._lanes < LANES:
            self._lanes += 1
            _start(self._serve(), self._tasks)
        return await waiting.answer

    async def _serve(self) -> None:
        try:
            while batch := self._take():
                try:
                    await self._answer(batch)
                except BaseException:
                    for waiting in batch:
                        waiting.answer.cancel()
                    raise
        finally:
            self._lanes -= 1

    async def _answer(self, batch: list[_Waiting[Request, Answer]]) -> None:
        try:
            answers = await self._run([waiting.request for waiting in batch])
        except Exception as error:
            if len(batch) == 1:
                _settle(batch[0].answer, error=error)
                return
            for waiting in batch:
                _start(self._answer([waiting]), self._tasks)
            return
        for waiting, answer in zip(batch, answers, strict=True):
            _settle(waiting.answer, answer)

    def _take(self) -> list[_Waiting[Request, Answer]]:
        """The next batch, empty when nobody waits. Who shares a key with somebody in it stays, in front."""
        batch: list[_Waiting[Request, Answer]] = []
        taken: set[Hashable] = set()
        left: list[_Waiting[Request, Answer]] = []
        while self._waiting and len(batch) < self._largest:
            waiting = self._waiting.popleft()
            if waiting.answer.done():
                continue
            if taken.isdisjoint(waiting.keys):
                batch.append(waiting)
            else:
                left.append(waiting)
            # Also of who stays, so that nobody overtakes.
            taken.update(waiting.keys)
        self._waiting.extendleft(reversed(left))
        return batch


def _start(work: Coroutine[Any, Any, None], running: set[asyncio.Task[None]]) -> None:
    # In a context of its own: a batch belongs to no caller's trace.
    task = asyncio.create_task(work, context=Context())
    running.add(task)
    task.add_done_callback(running.discard)


def _settle(future: "asyncio.Future[Answer]", answer: Answer | None = None, error: Exception | None = None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(answer)  # type: ignore[arg-type]  # there is one when there is no error
