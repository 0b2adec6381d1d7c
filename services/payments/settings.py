"""The only place where payments reads its environment."""

from dataclasses import dataclass
from uuid import UUID

from services.chassis.config import ConfigurationError, env
from services.chassis.settings import ServiceSettings


@dataclass(frozen=True, kw_only=True)
class PaymentsSettings(ServiceSettings):
    """The environment of one payments process."""

    stripe_api_key: str = env("STRIPE_API_KEY")
    # What browsers may know.
    stripe_publishable_key: str = env("STRIPE_PUBLISHABLE_KEY")
    # Whatever speaks the same wire is served alike.
    stripe_api_url: str = env("STRIPE_API_URL", "https://api.stripe.com")
    # Comma separated: two while one follows the other.
    stripe_webhook_secrets: str = env("STRIPE_WEBHOOK_SECRETS")
    # The one studio that takes money by this key itself, instead of by a connected account.
    own_key_studio: str = env("POWERHOUSE_OWN_KEY_STUDIO", "")

    def __post_init__(self) -> None:
        super().__post_init__()
        if not all(self.webhook_secrets):
            raise ConfigurationError("STRIPE_WEBHOOK_SECRETS has an empty secret: anybody could forge events")
        if self.own_key_studio:
            try:
                UUID(self.own_key_studio)
            except ValueError:
                raise ConfigurationError("POWERHOUSE_OWN_KEY_STUDIO is no id of a studio") from None

    @property
    def webhook_secrets(self) -> list[str]:
        return [secret.strip() for secret in self.stripe_webhook_secrets.split(",")]
