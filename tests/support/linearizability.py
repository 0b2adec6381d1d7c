"""Whether a history of overlapping calls can be explained by the same calls one after the other (Wing and Gong 1993).

Each call took effect at some instant between its start and its end. The search tries every order that these allow, with
the states it has seen before left out (Lowe 2017).
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

State = TypeVar("State", bound=Hashable)


@dataclass(frozen=True)
class Op:
    """One call, with what it answered; times of the monotonic clock."""

    start: float
    end: float
    call: tuple[Any, ...]
    answer: Any


def is_linearizable(history: Sequence[Op], initial: State, step: Callable[[State, Op], State | None]) -> bool:
    """Whether some order explains all answers. `step` gives the state after a call, None if it could not answer so."""
    seen: set[tuple[frozenset[int], State]] = set()

    def explain(left: frozenset[int], state: State) -> bool:
        if not left:
            return True
        if (left, state) in seen:
            return False
        seen.add((left, state))
        # Who started after another had ended cannot come before it.
        first_end = min(history[number].end for number in left)
        for number in left:
            if history[number].start <= first_end:
                after = step(state, history[number])
                if after is not None and explain(left - {number}, after):
                    return True
        return False

    return explain(frozenset(range(len(history))), initial)
