"""What every service reads from its environment. A service's own settings.py extends it."""

from dataclasses import dataclass
from pathlib import Path

from services.chassis.config import ConfigurationError, env

PRODUCTION = "production"


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """The environment of one process; see ARCHITECTURE.md for the table of variables."""

    profile: str = env("POWERHOUSE_PROFILE", "embedded")
    # `work` and `migrate` need it; `serve` never talks to the broker and should not know its password.
    broker_url: str = env("POWERHOUSE_BROKER_URL", "")
    tls_dir: Path = env("POWERHOUSE_TLS_DIR")
    token_jwks_file: Path = env("POWERHOUSE_TOKEN_JWKS_FILE")
    secret: str = env("POWERHOUSE_SECRET")
    public_url: str = env("POWERHOUSE_PUBLIC_URL", "http://127.0.0.1:8080")
    bind_host: str = env("POWERHOUSE_BIND_HOST", "127.0.0.1")
    grpc_port: int = env("POWERHOUSE_GRPC_PORT", 0)
    public_grpc_port: int = env("POWERHOUSE_PUBLIC_GRPC_PORT", 0)
    metrics_port: int = env("POWERHOUSE_METRICS_PORT", 0)
    otlp_endpoint: str | None = env("POWERHOUSE_OTLP_ENDPOINT", None)
    trace_sample_ratio: float = env("POWERHOUSE_TRACE_SAMPLE_RATIO", 1.0)
    clock_file: Path | None = env("POWERHOUSE_CLOCK_FILE", None)

    def __post_init__(self) -> None:
        if len(self.secret) < 32:
            raise ConfigurationError("POWERHOUSE_SECRET is shorter than 32 characters")
        if self.production and self.clock_file:
            raise ConfigurationError("POWERHOUSE_CLOCK_FILE is refused in production")

    @property
    def production(self) -> bool:
        return self.profile == PRODUCTION
