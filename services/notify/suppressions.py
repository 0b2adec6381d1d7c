"""Suppressions: addresses to which a studio does not send any more. The seam alone; the list is kept elsewhere."""

from datetime import datetime
from enum import StrEnum

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.telemetry import logger
from services.notify.models import Channel

log = logger(__name__)


class Reason(StrEnum):
    """Why."""

    BOUNCED = "bounced"


async def put(
    tx: UnitOfWork, channel: Channel, address: str, reason: Reason, *, at: datetime, active: bool = True
) -> None:
    """Suppresses an address from then on."""
    log.info("address_suppressed", studio=str(tx.tenant), channel=channel, reason=reason, active=active)
