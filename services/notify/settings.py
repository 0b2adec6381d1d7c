"""The only place where notify reads its environment."""

from dataclasses import dataclass

from services.chassis.config import env
from services.chassis.settings import ServiceSettings


@dataclass(frozen=True, kw_only=True)
class NotifySettings(ServiceSettings):
    """The environment of one notify process."""

    resend_api_key: str = env("RESEND_API_KEY")
    resend_api_url: str = env("RESEND_API_URL", "https://api.resend.com")
    # What mails are from: `Name <address>` of a domain that the provider account owns.
    mail_from: str = env("POWERHOUSE_MAIL_FROM", "Powerhouse <studio@powerhouse.example>")
