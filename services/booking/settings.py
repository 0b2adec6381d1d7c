"""The only place where booking reads its environment."""

from dataclasses import dataclass

from services.chassis.settings import ServiceSettings


@dataclass(frozen=True, kw_only=True)
class BookingSettings(ServiceSettings):
    """The environment of one booking process: nothing beyond what every service has."""
