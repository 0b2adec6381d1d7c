"""Who is told what: each process gets its own secrets and nobody else's."""

from pathlib import Path

import pytest

from embedded.certificates import Certificates
from embedded.children import Child
from embedded.programs import SERVICES, Ports, Run

PRIVATE = "POWERHOUSE_TOKEN_PRIVATE_KEY_FILE"


def told(var: Path, **environ: str) -> dict[str, dict[str, str]]:
    """The environment of every process, by name."""
    run = Run(
        var, 8080, "postgresql://postgres:admin-pw@127.0.0.1:1", "redis://:b@127.0.0.1:2/0", Ports({}),
        Certificates(var / "certificates"), environ={"PATH": "/bin", "AWS_SECRET": "x", **environ},
    )  # fmt: skip
    children: list[Child] = [run.migration(), run.demo(), *run.programs()]
    return {child.name: dict(child.environment) for child in children}


def test_a_service_knows_its_own_database_as_its_app_role(tmp_path: Path) -> None:
    environments = told(tmp_path)
    for service in SERVICES:
        for process in ("serve", "work"):
            environment = environments[f"{service}.{process}"]
            urls = {name: url for name, url in environment.items() if name.endswith("DATABASE_URL")}
            assert list(urls) == [f"POWERHOUSE_{service.upper()}_DATABASE_URL"]
            assert f"powerhouse_{service}_app" in urls[f"POWERHOUSE_{service.upper()}_DATABASE_URL"]


def test_only_the_migration_acts_as_administrator(tmp_path: Path) -> None:
    environments = told(tmp_path)
    assert [name for name, told_it in environments.items() if "admin-pw" in str(told_it)] == ["migrate"]


def test_only_identity_may_sign_tokens(tmp_path: Path) -> None:
    assert {name for name, environment in told(tmp_path).items() if PRIVATE in environment} == {
        "identity.serve",
        "identity.work",
    }


def test_keys_are_a_process_s_own_and_nothing_else_is_inherited(tmp_path: Path) -> None:
    environments = told(tmp_path)
    for name, environment in environments.items():
        assert "AWS_SECRET" not in environment
        if "POWERHOUSE_SECRET_FILE" in environment:
            owner = name.partition(".")[0]
            assert environment["POWERHOUSE_SECRET_FILE"].endswith(f"/secrets/{owner}")
            assert environment["POWERHOUSE_TLS_DIR"].endswith(f"/tls/{owner}")
    for key in ("RESEND_API_KEY", "SENDGRID_API_KEY", "TWILIO_AUTH_TOKEN", "RESEND_WEBHOOK_SECRETS"):
        told_it = {name for name, environment in environments.items() if key in environment}
        assert told_it == {"notify.serve", "notify.work", "sandbox"}
    for key, owner in (("SENDGRID_WEBHOOK_PRIVATE_KEY", "sandbox"), ("VAPID_PRIVATE_KEY_FILE", "notify")):
        told_it = {name.partition(".")[0] for name, environment in environments.items() if key in environment}
        assert told_it == {owner}
    assert "STRIPE_API_KEY" in environments["stripe"]
    assert not [
        name
        for name in environments
        if name.partition(".")[0] not in ("stripe", "payments") and "STRIPE_API_KEY" in environments[name]
    ]


@pytest.mark.parametrize("variable", ["RESEND_API_KEY", "RESEND_API_KEY_FILE"])
def test_a_mail_provider_of_ones_own_replaces_the_sandbox(tmp_path: Path, variable: str) -> None:
    environments = told(tmp_path, **{variable: "re_live"})
    assert environments["notify.work"][variable] == "re_live"
    assert "RESEND_API_URL" not in environments["notify.work"]
    # Text messages still stay here, but the demo has no mails to read.
    assert "POWERHOUSE_SANDBOX_URL" in environments["gateway"]
    assert "POWERHOUSE_SANDBOX_URL" not in environments["demo"]


def test_with_accounts_of_ones_own_there_is_no_sandbox(tmp_path: Path) -> None:
    environments = told(
        tmp_path, SENDGRID_API_KEY="SG.x", POWERHOUSE_MAIL_PROVIDER="sendgrid", TWILIO_ACCOUNT_SID="AC1",
        TWILIO_AUTH_TOKEN_FILE="/secrets/twilio",
    )  # fmt: skip
    assert "sandbox" not in environments
    assert "POWERHOUSE_SANDBOX_URL" not in environments["gateway"]
    notify = environments["notify.work"]
    assert (notify["POWERHOUSE_MAIL_PROVIDER"], notify["TWILIO_AUTH_TOKEN_FILE"]) == ("sendgrid", "/secrets/twilio")
    assert not {"RESEND_API_KEY", "TWILIO_AUTH_TOKEN", "TWILIO_API_URL", "SENDGRID_API_URL"} & set(notify)


def test_overrides_reach_their_service_alone(tmp_path: Path) -> None:
    url = "postgresql://somebody:pw@db.example/books"
    environments = told(tmp_path, POWERHOUSE_BOOKING_DATABASE_URL=url)
    assert environments["booking.serve"]["POWERHOUSE_BOOKING_DATABASE_URL"] == url
    assert {name for name, environment in environments.items() if url in environment.values()} == {
        "booking.serve",
        "booking.work",
        "migrate",
    }


def test_a_stripe_key_of_ones_own_replaces_the_sandbox(tmp_path: Path) -> None:
    assert "POWERHOUSE_STRIPE_SANDBOX_URL" in told(tmp_path)["gateway"]
    environments = told(tmp_path, STRIPE_API_KEY="sk_live_x", STRIPE_WEBHOOK_SECRETS="whsec_x")
    assert "stripe" not in environments
    assert "POWERHOUSE_STRIPE_SANDBOX_URL" not in environments["gateway"]
