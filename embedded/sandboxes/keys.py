"""The keys of the sandboxes: made for one run, shown by notify, known to nobody else."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from services.notify.settings import PUSH_SERVICES


def _webhook_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


@dataclass(frozen=True)
class Keys:
    """One account at each provider."""

    resend: str = field(default_factory=lambda: f"re_{secrets.token_urlsafe(18)}")
    resend_webhook: str = field(default_factory=lambda: f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}")
    sendgrid: str = field(default_factory=lambda: f"SG.{secrets.token_urlsafe(22)}")
    sendgrid_webhook: ec.EllipticCurvePrivateKey = field(default_factory=_webhook_key)
    twilio_account: str = field(default_factory=lambda: f"AC{secrets.token_hex(16)}")
    twilio_token: str = field(default_factory=lambda: secrets.token_hex(16))

    def of_sandbox(self) -> dict[str, str]:
        """The environment of the sandboxes."""
        der = self.sendgrid_webhook.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return {**self._both(), "SENDGRID_WEBHOOK_PRIVATE_KEY": base64.b64encode(der).decode()}

    def of_notify(self, url: str) -> Mapping[str, str]:
        """The environment of who calls them at `url`."""
        der = self.sendgrid_webhook.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return {
            **self._both(),
            "RESEND_API_URL": url,
            "SENDGRID_API_URL": url,
            "SENDGRID_WEBHOOK_KEYS": base64.b64encode(der).decode(),
            "TWILIO_API_URL": url,
            # A real browser can listen, too.
            "POWERHOUSE_PUSH_SERVICES": f"{url},{PUSH_SERVICES}",
        }

    def _both(self) -> dict[str, str]:
        return {
            "RESEND_API_KEY": self.resend,
            "RESEND_WEBHOOK_SECRETS": self.resend_webhook,
            "SENDGRID_API_KEY": self.sendgrid,
            "TWILIO_ACCOUNT_SID": self.twilio_account,
            "TWILIO_AUTH_TOKEN": self.twilio_token,
        }
