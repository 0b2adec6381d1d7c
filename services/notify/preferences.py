"""What each client wants to be sent.

To be replaced by the real ones: here nobody has said anything yet.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from uuid import UUID

from services.chassis.db.unit_of_work import UnitOfWork
from services.notify.models import Channel, Kind
from services.notify.quiet_hours import QuietHours


@dataclass(frozen=True)
class Preferences:
    """A client's preferences as sending needs them."""

    opt_outs: frozenset[str] = frozenset()
    quiet: QuietHours | None = None
    # Of the quiet hours.
    zone: str = "UTC"
    # Minutes before the start, by channel; a channel that is absent: as the studio does.
    offsets: Mapping[Channel, tuple[int, ...]] = field(default_factory=dict)
    # Empty: the one that the studio knows the client by.
    language: str = ""

    def refusal(self, kind: Kind, channel: Channel) -> str | None:
        """Why the client is not sent this; None when it is."""
        return "client preference" if f"{kind}/{channel}" in self.opt_outs else None


async def load(_tx: UnitOfWork, client_ids: Collection[UUID]) -> dict[UUID, Preferences]:
    """The preferences of clients."""
    return {client_id: Preferences() for client_id in client_ids}
