"""Consent: what a number or an address said by itself. The seam alone; the book of consents is kept elsewhere."""

from datetime import datetime
from enum import StrEnum

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.telemetry import logger
from services.notify.models import Channel

log = logger(__name__)


class Source(StrEnum):
    """How somebody said it."""

    UNSUBSCRIBE = "unsubscribe"
    STOP = "stop"
    START = "start"
    COMPLAINT = "complaint"


async def record(
    tx: UnitOfWork, *, channel: Channel, address: str, granted: bool, source: Source, at: datetime
) -> None:
    """What somebody said at that time."""
    log.info("consent_told", studio=str(tx.tenant), channel=channel, granted=granted, source=source)
