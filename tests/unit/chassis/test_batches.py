"""Natural batching: what shares a statement, what does not, and what happens when one spoils it."""

import asyncio
from collections.abc import Sequence

import pytest

from services.chassis.db.batches import LANES, LARGEST, Batches


class Counter:
    """Runs batches of numbers; answers their squares once its gate is open. Remembers who came with whom."""

    def __init__(self, *, spoilt: int = -1) -> None:
        self.seen: list[list[int]] = []
        self.gate = asyncio.Event()
        self._spoilt = spoilt
        self.queue = Batches[int, int](self._run, lambda number: [number % 1000])

    async def _run(self, numbers: Sequence[int]) -> Sequence[int]:
        self.seen.append(list(numbers))
        await self.gate.wait()
        if self._spoilt in numbers:
            raise ValueError(self._spoilt)
        return [number**2 for number in numbers]

    def ask(self, *numbers: int) -> "list[asyncio.Task[int]]":
        return [asyncio.create_task(self.queue.ask(number)) for number in numbers]


async def busy(counter: Counter) -> None:
    """Both lanes wait for the gate."""
    for number in range(900, 900 + LANES):
        counter.ask(number)
        await settle()
    assert len(counter.seen) == LANES


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_alone_it_goes_at_once() -> None:
    counter = Counter()
    counter.gate.set()
    assert await counter.queue.ask(3) == 9
    assert await counter.queue.ask(4) == 16
    assert counter.seen == [[3], [4]]


async def test_those_who_come_while_all_lanes_are_busy_go_together() -> None:
    counter = Counter()
    await busy(counter)
    rest = counter.ask(*range(10, 20))
    await settle()
    counter.gate.set()
    assert await asyncio.gather(*rest) == [n**2 for n in range(10, 20)]
    assert counter.seen[LANES:] == [list(range(10, 20))]


async def test_a_batch_has_its_limit() -> None:
    counter = Counter()
    await busy(counter)
    many = counter.ask(*range(LARGEST + 5))
    await settle()
    counter.gate.set()
    await asyncio.gather(*many)
    assert max(map(len, counter.seen)) == LARGEST


async def test_two_that_share_a_key_never_go_together_and_keep_their_order() -> None:
    counter = Counter()
    await busy(counter)
    same = counter.ask(5, 1005, 6, 2005)
    await settle()
    counter.gate.set()
    await asyncio.gather(*same)
    batches = [batch for batch in counter.seen if set(batch) & {5, 1005, 2005}]
    assert [[n for n in batch if n != 6] for batch in batches] == [[5], [1005], [2005]]


async def test_one_that_fails_does_not_spoil_it_for_the_others() -> None:
    counter = Counter(spoilt=12)
    await busy(counter)
    asked = counter.ask(11, 12, 13)
    await settle()
    counter.gate.set()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert answers[0::2] == [121, 169]
    assert isinstance(answers[1], ValueError)


async def test_who_gives_up_before_it_goes_leaves_no_trace() -> None:
    counter = Counter()
    await busy(counter)
    gone, stays = counter.ask(7, 8)
    await settle()
    gone.cancel()
    await settle()
    counter.gate.set()
    assert await stays == 64
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert not any(7 in batch for batch in counter.seen)


async def test_who_gives_up_later_does_not_disturb_the_others() -> None:
    counter = Counter()
    await busy(counter)
    gone, stays = counter.ask(7, 8)
    await settle()
    counter.gate.set()
    await asyncio.sleep(0)
    gone.cancel()
    assert await stays == 64


async def test_who_asks_at_the_moment_when_all_lanes_end_is_served() -> None:
    """The first of those they answered asks again before anything else happens, and nobody else does."""
    counter = Counter()

    async def twice() -> int:
        await counter.queue.ask(0)
        return await counter.queue.ask(1)

    asked = asyncio.create_task(twice())
    await settle()
    others: list[asyncio.Task[int]] = []
    for lane in range(1, LANES):
        others += counter.ask(10 * lane)
        await settle()
    assert len(counter.seen) == LANES
    counter.gate.set()
    async with asyncio.timeout(30):
        assert await asked == 1
