"""The only place where the gateway reads its environment."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from services.chassis.config import ConfigurationError, env
from services.chassis.settings import PRODUCTION


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The environment of one gateway."""

    profile: str = env("POWERHOUSE_PROFILE", "embedded")
    tls_dir: Path = env("POWERHOUSE_TLS_DIR")
    # Key of the CSRF tokens; the same for all replicas.
    secret: str = env("POWERHOUSE_SECRET")
    public_url: str = env("POWERHOUSE_PUBLIC_URL", "http://127.0.0.1:8080")
    bind_host: str = env("POWERHOUSE_BIND_HOST", "127.0.0.1")
    port: int = env("POWERHOUSE_PORT", 8080)
    metrics_port: int = env("POWERHOUSE_METRICS_PORT", 0)
    otlp_endpoint: str | None = env("POWERHOUSE_OTLP_ENDPOINT", None)
    trace_sample_ratio: float = env("POWERHOUSE_TRACE_SAMPLE_RATIO", 1.0)
    # Origins of other sites whose pages may call the API with a key, separated by commas.
    cors_origins: str = env("POWERHOUSE_CORS_ORIGINS", "")
    # Requests a second, by each credential and by each address of callers without one; 0 for no limit.
    rate_limit: float = env("POWERHOUSE_RATE_LIMIT", 50.0)
    public_rate_limit: float = env("POWERHOUSE_PUBLIC_RATE_LIMIT", 20.0)
    # Of each address that sends webhooks: providers have few, and send much when much was sent.
    webhook_rate_limit: float = env("POWERHOUSE_WEBHOOK_RATE_LIMIT", 1000.0)
    sandbox_url: str | None = env("POWERHOUSE_SANDBOX_URL", None)
    stripe_sandbox_url: str | None = env("POWERHOUSE_STRIPE_SANDBOX_URL", None)
    # Where the page that takes payments has its script from; an address or a path.
    stripe_js_url: str = env("STRIPE_JS_URL", "https://js.stripe.com/endive/stripe.js")
    identity_target: str = env("POWERHOUSE_IDENTITY_TARGET")
    scheduling_target: str = env("POWERHOUSE_SCHEDULING_TARGET")
    booking_target: str = env("POWERHOUSE_BOOKING_TARGET")
    notify_target: str = env("POWERHOUSE_NOTIFY_TARGET")
    payments_target: str = env("POWERHOUSE_PAYMENTS_TARGET")

    def __post_init__(self) -> None:
        if len(self.secret) < 32:
            raise ConfigurationError("POWERHOUSE_SECRET is shorter than 32 characters")
        if self.production and (self.sandbox_url or self.stripe_sandbox_url):
            raise ConfigurationError(
                "POWERHOUSE_SANDBOX_URL and POWERHOUSE_STRIPE_SANDBOX_URL are refused in production"
            )
        for origin in self.allowed_origins:
            if origin != _origin(origin):
                raise ConfigurationError("POWERHOUSE_CORS_ORIGINS must list origins like https://studio.example")

    @property
    def production(self) -> bool:
        return self.profile == PRODUCTION

    @property
    def public_origin(self) -> str:
        """Scheme, host and port of the public URL, as a browser's Origin header spells them."""
        return _origin(self.public_url)

    @property
    def allowed_origins(self) -> list[str]:
        return [origin.strip() for origin in self.cors_origins.split(",") if origin.strip()]


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
