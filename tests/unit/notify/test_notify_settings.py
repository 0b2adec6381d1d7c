"""What notify refuses to start with."""

from pathlib import Path

import pytest

from services.chassis import config
from services.notify.settings import NotifySettings

BASE = {
    "POWERHOUSE_TLS_DIR": "/tls",
    "POWERHOUSE_TOKEN_JWKS_FILE": "",
    "POWERHOUSE_SECRET": "s" * 32,
    "RESEND_API_KEY": "re_x",
}


def load(tmp_path: Path, **environ: str) -> NotifySettings:
    (tmp_path / "jwks").write_text("/jwks.json")
    return config.load(NotifySettings, {**BASE, "POWERHOUSE_TOKEN_JWKS_FILE_FILE": str(tmp_path / "jwks"), **environ})


@pytest.mark.parametrize(
    ("environ", "complaint"),
    [
        ({"RESEND_API_KEY": ""}, "RESEND_API_KEY is not set"),
        ({"POWERHOUSE_MAIL_PROVIDER": "sendgrid"}, "SENDGRID_API_KEY is not set"),
        ({"POWERHOUSE_MAIL_FAILOVER": "smtp"}, "POWERHOUSE_SMTP_URL is not set"),
        ({"POWERHOUSE_MAIL_PROVIDER": "pigeon"}, "no mail provider called pigeon; there are resend, sendgrid, smtp"),
        ({"TWILIO_ACCOUNT_SID": "AC1"}, "TWILIO_AUTH_TOKEN is not set"),
        ({"POWERHOUSE_SMS_RATE": "0"}, "must be more than 0"),
        ({"POWERHOUSE_PROFILE": "production"}, "RESEND_WEBHOOK_SECRETS is not set"),
        (
            {"POWERHOUSE_PROFILE": "production", "RESEND_WEBHOOK_SECRETS": "x", "POWERHOUSE_MAIL_FAILOVER": "sendgrid"},
            "SENDGRID_API_KEY is not set; SENDGRID_WEBHOOK_KEYS is not set",
        ),
    ],
)
def test_what_cannot_work_is_refused_by_its_name(tmp_path: Path, environ: dict[str, str], complaint: str) -> None:
    with pytest.raises(config.ConfigurationError, match=complaint):
        load(tmp_path, **environ)


def test_the_order_in_which_mail_providers_are_asked(tmp_path: Path) -> None:
    assert load(tmp_path).mail_providers == ["resend"]
    both = {"POWERHOUSE_MAIL_FAILOVER": "smtp", "POWERHOUSE_SMTP_URL": "smtp://x"}
    assert load(tmp_path, **both).mail_providers == ["resend", "smtp"]
    assert load(tmp_path, POWERHOUSE_MAIL_FAILOVER="resend").mail_providers == ["resend"]
