"""Bad weather: what a sandbox does wrong, how often, and for whom.

`PUT /sandbox/faults` with {"<fault>": count} or {"<fault>": {"count": n, "after": m, "seconds": s, "share": p}}
replaces what was set before; {} is good weather. "twilio:reject_500" strikes one provider only. `share` is the part of
calls it strikes, after the first `after` of them.
"""

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, get_args

from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

Fault = Literal[
    "slow",
    "reject_429",
    "reject_500",
    "reject_html",
    "accept_then_500",
    "accept_then_close",
    "accept_then_hang",
    "accept_then_html",
    # What becomes of a message is never told.
    "lose_webhooks",
]
PROVIDERS = ("resend", "sendgrid", "smtp", "twilio", "push")
SOMEBODY_IN_BETWEEN = "<html><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass
class Knob:
    """How often a fault still happens, after how many calls it begins, and its seconds: of delay, of Retry-After."""

    count: int = 0
    after: int = 0
    seconds: float = 1
    share: float = 1


class CutOff(Response):
    """An answer that never arrives: the connection closes after the head."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Promises a body and leaves, upon which uvicorn closes the connection."""
        headers = [(b"content-type", b"application/json"), (b"content-length", b"64")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})


class Faults:
    """The knobs of all sandboxes."""

    def __init__(self, seed: int = 0) -> None:
        self._knobs: dict[str, Knob] = {}
        self._dice = random.Random(seed)  # noqa: S311  # weather

    def set(self, wanted: dict[str, Any]) -> None:
        """Replaces the weather. Raises ValueError that says what is wrong."""
        self._knobs = {name: _knob(name, value) for name, value in wanted.items()}

    def left(self) -> dict[str, Any]:
        """What will still go wrong."""
        return {name: vars(knob) for name, knob in self._knobs.items() if knob.count}

    def happens(self, fault: Fault, provider: str) -> Knob | None:
        """Whether it strikes this call; counts it if so."""
        for name in (f"{provider}:{fault}", fault):
            knob = self._knobs.get(name)
            if knob and knob.after:
                knob.after -= 1
                continue
            if knob and knob.count and (knob.share == 1 or self._dice.random() < knob.share):
                knob.count -= 1
                return knob
        return None

    async def around(
        self, provider: str, accept: Callable[[], Response], refuse: Callable[[int, dict[str, str]], Response]
    ) -> Response:
        """Answers a call by `accept`, unless the weather is bad; `refuse` makes a refusal in the provider's form."""
        if knob := self.happens("slow", provider):
            await asyncio.sleep(knob.seconds)
        if knob := self.happens("reject_429", provider):
            return refuse(429, {"retry-after": str(max(1, round(knob.seconds)))})
        if self.happens("reject_500", provider):
            return refuse(500, {})
        if self.happens("reject_html", provider):
            return HTMLResponse(SOMEBODY_IN_BETWEEN, 502)
        answer = accept()
        if self.happens("accept_then_500", provider):
            return refuse(500, {})
        if self.happens("accept_then_close", provider):
            return CutOff()
        if self.happens("accept_then_html", provider):
            return HTMLResponse(SOMEBODY_IN_BETWEEN, 200)
        if knob := self.happens("accept_then_hang", provider):
            await asyncio.sleep(knob.seconds)
        return answer


def _knob(name: str, value: object) -> Knob:
    provider, _, fault = name.rpartition(":")
    if fault not in get_args(Fault) or (provider and provider not in PROVIDERS):
        raise ValueError(f"Unknown fault `{name}`; there are {', '.join(get_args(Fault))}.")
    settings: dict[str, Any] = value if isinstance(value, dict) else {"count": value}
    try:
        knob = Knob(**settings)
        counts = all(isinstance(each, int) and each >= 0 for each in (knob.count, knob.after))
        sound = counts and 0 <= knob.seconds <= 600 and 0 <= knob.share <= 1
    except TypeError:
        sound = False
    if not sound:
        raise ValueError(f"`{name}` wants counts of 0 or more, seconds from 0 to 600, a share from 0 to 1.")
    return knob
