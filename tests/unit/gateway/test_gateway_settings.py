import pytest

from gateway.settings import Settings
from services.chassis import config
from services.chassis.config import ConfigurationError

ENVIRON = {
    "POWERHOUSE_TLS_DIR": "tls",
    "POWERHOUSE_SECRET": "s" * 32,
    "POWERHOUSE_PUBLIC_URL": "https://studio.example:444/app",
    **{f"POWERHOUSE_{name}_TARGET": "x:1" for name in ("IDENTITY", "SCHEDULING", "BOOKING", "NOTIFY", "PAYMENTS")},
}


def test_the_origin_is_that_of_the_public_url() -> None:
    assert config.load(Settings, ENVIRON).public_origin == "https://studio.example:444"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"POWERHOUSE_SECRET": "short"}, "POWERHOUSE_SECRET is shorter"),
        ({"POWERHOUSE_PROFILE": "production", "POWERHOUSE_SANDBOX_URL": "http://x"}, "refused in production"),
        ({"POWERHOUSE_PORT": "http"}, "POWERHOUSE_PORT is malformed"),
    ],
)
def test_a_bad_environment_is_named(change: dict[str, str], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        config.load(Settings, {**ENVIRON, **change})
