"""Settings: everything missing is said at once, secrets may come from files, values never appear in errors."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from services.chassis.config import ConfigurationError, env, load, targets
from services.chassis.settings import ServiceSettings


@dataclass(frozen=True)
class Sample:
    port: int = env("SAMPLE_PORT")
    key: str = env("SAMPLE_KEY")
    folder: Path | None = env("SAMPLE_FOLDER", None)
    ratio: float = env("SAMPLE_RATIO", 0.5)


def test_values_are_converted_and_files_read(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("from a file\n")
    settings = load(Sample, {"SAMPLE_PORT": "8080", "SAMPLE_KEY_FILE": str(secret), "SAMPLE_FOLDER": "/srv"})
    assert settings == Sample(8080, "from a file", Path("/srv"), 0.5)


def test_everything_wrong_is_said_at_once_and_no_value_is_shown() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        load(Sample, {"SAMPLE_PORT": "hunter2", "SAMPLE_RATIO": "much"})
    text = str(refusal.value)
    assert "SAMPLE_PORT is malformed" in text
    assert "SAMPLE_KEY is not set" in text
    assert "SAMPLE_RATIO is malformed" in text
    assert "hunter2" not in text


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="SAMPLE_KEY_FILE cannot be read"):
        load(Sample, {"SAMPLE_PORT": "1", "SAMPLE_KEY_FILE": str(tmp_path / "none")})


SERVICE = {
    "POWERHOUSE_BROKER_URL": "redis://",
    "POWERHOUSE_TLS_DIR": "/tls",
    "POWERHOUSE_TOKEN_JWKS_FILE": "/jwks",
    "POWERHOUSE_SECRET": "x" * 32,
}


def test_production_refuses_a_moved_clock_and_a_short_secret() -> None:
    load(ServiceSettings, {**SERVICE, "POWERHOUSE_CLOCK_FILE": "/clock"})
    with pytest.raises(ConfigurationError, match="CLOCK_FILE"):
        load(ServiceSettings, {**SERVICE, "POWERHOUSE_CLOCK_FILE": "/clock", "POWERHOUSE_PROFILE": "production"})
    with pytest.raises(ConfigurationError, match="SECRET"):
        load(ServiceSettings, {**SERVICE, "POWERHOUSE_SECRET": "short"})


def test_targets_are_found_by_their_names() -> None:
    assert targets({"POWERHOUSE_BOOKING_TARGET": "a:1", "POWERHOUSE_PORT": "8080"}) == {"booking": "a:1"}
