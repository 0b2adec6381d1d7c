"""The only place where notify reads its environment."""

from dataclasses import dataclass

from services.chassis.config import ConfigurationError, env
from services.chassis.settings import ServiceSettings

# The secrets of their webhooks: without them nobody would hear that a mail came back.
_TOLD_BY = {
    "resend": ("RESEND_WEBHOOK_SECRETS", "resend_webhook_secrets"),
    "sendgrid": ("SENDGRID_WEBHOOK_KEYS", "sendgrid_webhook_keys"),
}
# What each mail provider cannot do without.
_NEEDED = {
    "resend": ("RESEND_API_KEY", "resend_api_key"),
    "sendgrid": ("SENDGRID_API_KEY", "sendgrid_api_key"),
    "smtp": ("POWERHOUSE_SMTP_URL", "smtp_url"),
}
# Where Chrome, Firefox, Safari and Edge have their notifications sent to.
PUSH_SERVICES = (
    "https://fcm.googleapis.com,https://updates.push.services.mozilla.com,"
    "https://*.push.apple.com,https://*.notify.windows.com"
)


@dataclass(frozen=True, kw_only=True)
class NotifySettings(ServiceSettings):
    """The environment of one notify process. A channel without its key is not set up, and a webhook without its
    secret lets nobody in."""

    # `resend`, `sendgrid` or `smtp`; the other one is asked when the first certainly did not take a mail.
    mail_provider: str = env("POWERHOUSE_MAIL_PROVIDER", "resend")
    mail_failover: str = env("POWERHOUSE_MAIL_FAILOVER", "")
    # What mails are from: `Name <address>` of a domain that the provider account owns.
    mail_from: str = env("POWERHOUSE_MAIL_FROM", "Powerhouse <studio@powerhouse.example>")
    # Calls a second of each provider, of one process.
    mail_rate: float = env("POWERHOUSE_MAIL_RATE", 50.0)
    sms_rate: float = env("POWERHOUSE_SMS_RATE", 50.0)
    push_rate: float = env("POWERHOUSE_PUSH_RATE", 100.0)

    resend_api_key: str = env("RESEND_API_KEY", "")
    resend_api_url: str = env("RESEND_API_URL", "https://api.resend.com")
    sendgrid_api_key: str = env("SENDGRID_API_KEY", "")
    sendgrid_api_url: str = env("SENDGRID_API_URL", "https://api.sendgrid.com")
    smtp_url: str = env("POWERHOUSE_SMTP_URL", "")

    twilio_account_sid: str = env("TWILIO_ACCOUNT_SID", "")
    twilio_auth_token: str = env("TWILIO_AUTH_TOKEN", "")
    twilio_api_url: str = env("TWILIO_API_URL", "https://api.twilio.com")

    # P-256, base64url; browsers that subscribed with its public half are lost when it changes.
    vapid_private_key: str = env("VAPID_PRIVATE_KEY", "")
    vapid_contact: str = env("VAPID_CONTACT", "mailto:studio@powerhouse.example")
    push_services: str = env("POWERHOUSE_PUSH_SERVICES", PUSH_SERVICES)

    # Secrets of webhooks, separated by commas while one replaces another.
    resend_webhook_secrets: str = env("RESEND_WEBHOOK_SECRETS", "")
    sendgrid_webhook_keys: str = env("SENDGRID_WEBHOOK_KEYS", "")
    # A token that signs no more calls of ours but still some of theirs: Twilio's secondary one.
    twilio_other_auth_token: str = env("TWILIO_OTHER_AUTH_TOKEN", "")

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in self.mail_providers:
            if name not in _NEEDED:
                raise ConfigurationError(f"there is no mail provider called {name}; there are {', '.join(_NEEDED)}")
            needed = [_NEEDED[name], *([_TOLD_BY[name]] if self.production and name in _TOLD_BY else [])]
            if missing := [variable for variable, field in needed if not getattr(self, field)]:
                raise ConfigurationError("; ".join(f"{variable} is not set" for variable in missing))
        if self.twilio_account_sid and not self.twilio_auth_token:
            raise ConfigurationError("TWILIO_AUTH_TOKEN is not set")
        if min(self.mail_rate, self.sms_rate, self.push_rate) <= 0:
            raise ConfigurationError("POWERHOUSE_MAIL_RATE, …_SMS_RATE and …_PUSH_RATE must be more than 0")

    @property
    def twilio_callback_url(self) -> str:
        """Where Twilio's webhooks arrive."""
        return f"{self.public_url.rstrip('/')}/webhooks/twilio/{self.twilio_account_sid}"

    @property
    def mail_providers(self) -> list[str]:
        """In the order in which they are asked."""
        return [name for name in dict.fromkeys((self.mail_provider, self.mail_failover)) if name]
