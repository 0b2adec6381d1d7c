"""What goes wrong on purpose: knobs that tests turn at the control address."""

import asyncio
import random
import re
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from embedded.sandboxes.stripe.wire import Object, Refusal

Fault = Literal[
    "reject_500",
    "reject_429",
    "reject_close",
    "hold",
    "slow",
    "done_then_500",
    "done_then_close",
    "done_then_slow",
    "done_then_hold",
    "webhook_drop",
    "webhook_delay",
    "webhook_duplicate",
    "webhook_reorder",
]


@dataclass
class Knob:
    """A fault of the next `count` requests that match, or of a `share` of all deliveries; -1 never ends."""

    count: int = -1
    share: float = 1.0
    seconds: float = 1.0
    method: str = "POST"
    path: str = ""
    types: str = ""


@dataclass
class Faults:
    """All knobs, with their own dice so that a seed gives the same weather again."""

    knobs: dict[str, Knob] = field(default_factory=dict)
    dice: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 - no secret
    # When others are set.
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    def set(self, body: dict[str, Any]) -> None:
        """Replaces the faults set before: {"<fault>": count} or {"<fault>": {…}}, and "seed". Raises Refusal."""
        seed = body.pop("seed", 0)
        try:
            self.knobs = {name: _knob(name, value) for name, value in body.items()}
        except (TypeError, ValueError, re.error) as error:
            raise Refusal(str(error)) from None
        self.dice.seed(seed)
        self._changed.set()
        self._changed = asyncio.Event()

    async def change(self) -> None:
        """Waits until other faults are set."""
        await self._changed.wait()

    def shown(self) -> Object:
        """What will still go wrong."""
        return {name: vars(knob) for name, knob in self.knobs.items() if knob.count}

    def request(self, fault: Fault, method: str, path: str) -> Knob | None:
        """Whether a fault befalls this request."""
        knob = self.knobs.get(fault)
        if knob is None or knob.method not in ("*", method) or not re.search(knob.path, path):
            return None
        return self._falls(knob)

    def delivery(self, fault: Fault, event_type: str) -> Knob | None:
        """Whether a fault befalls this delivery."""
        knob = self.knobs.get(fault)
        return self._falls(knob) if knob and re.search(knob.types, event_type) else None

    def _falls(self, knob: Knob) -> Knob | None:
        if knob.count == 0 or self.dice.random() >= knob.share:
            return None
        knob.count -= knob.count > 0
        return knob


def _knob(name: str, value: object) -> Knob:
    if name not in get_args(Fault):
        raise ValueError(f"Unknown fault `{name}`; there are {', '.join(get_args(Fault))}.")
    settings: dict[str, Any] = value if isinstance(value, dict) else {"count": value}
    knob = Knob(**settings)
    re.compile(knob.path + knob.types)
    if not isinstance(knob.count, int) or knob.count < -1 or not 0 <= knob.seconds <= 600 or not 0 <= knob.share <= 1:
        raise ValueError(f"`{name}` wants a count, seconds from 0 to 600 and a share from 0 to 1.")
    return knob
