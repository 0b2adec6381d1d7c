"""The only place where booking reads its environment."""

from dataclasses import dataclass

from cryptography.fernet import Fernet

from services.chassis.config import ConfigurationError, env
from services.chassis.settings import ServiceSettings


@dataclass(frozen=True, kw_only=True)
class BookingSettings(ServiceSettings):
    """`person_keys`: Fernet keys, comma separated; each opens the keys of clients, the first wraps new ones."""

    person_keys: str = env("POWERHOUSE_PERSON_KEYS")

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            self.fernets()
        except ValueError:
            raise ConfigurationError("POWERHOUSE_PERSON_KEYS holds no Fernet keys") from None

    def fernets(self) -> list[Fernet]:
        """Raises ValueError for keys that are none."""
        return [Fernet(key.strip()) for key in self.person_keys.split(",")]
