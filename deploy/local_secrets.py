"""Makes the keys and passwords of a try-out: `.venv/bin/python deploy/local_secrets.py <directory>`.

`deploy/compose.yaml` and `deploy/k8s/overlays/local` read them from the folder `secrets` beside them. Real deployments
make their own (deploy/README.md). A directory that exists is left alone, since the databases know its passwords.
"""

import argparse
import base64
import os
import secrets
import tempfile
from pathlib import Path

from embedded.certificates import NAMES, Certificates
from services.chassis.db.urls import derived_url

SERVICES = tuple(name for name in NAMES if name != "gateway")


_STRIPE = {
    "stripe-api-key": "sk_not_set",
    "stripe-publishable-key": "pk_not_set",
    "stripe-webhook-secrets": "whsec_not_set",
}


def main() -> None:
    """Ends with a message when the directory exists."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    directory: Path = parser.parse_args().directory
    if directory.exists():
        parser.exit(1, f"{directory} exists; remove it, and the databases made with it, to begin anew\n")
    directory.mkdir(mode=0o700, parents=True)
    unset = f"whsec_{base64.b64encode(secrets.token_bytes(24)).decode()}"
    environ = os.environ.get
    make(directory, environ("RESEND_API_KEY", "re_not_set"), environ("RESEND_WEBHOOK_SECRETS", unset))


def make(directory: Path, mail_key: str, webhook_secrets: str) -> None:
    """Writes everything below `directory`, each process's own in a folder of its name."""
    database_password, broker_password = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
    admin_url = f"postgresql://postgres:{database_password}@postgres:5432"
    broker_url = f"amqp://powerhouse:{broker_password}@rabbitmq:5672"
    _write(directory / "postgres" / "password", database_password)
    _write(directory / "postgres" / "url", admin_url)
    _write(directory / "postgres" / "migrate.env", f"POWERHOUSE_DATABASE_URL={admin_url}\n")
    _write(
        directory / "rabbitmq" / "rabbitmq.conf",
        f"default_user = powerhouse\ndefault_pass = {broker_password}\nloopback_users = none\n",
    )
    with tempfile.TemporaryDirectory() as folder:
        certificates = Certificates(Path(folder))
        certificates.make()
        for name in NAMES:
            for file in certificates.tls(name).iterdir():
                _write(directory / name / "tls" / file.name, file.read_text())
            _write(directory / name / "files" / "secret", certificates.secret(name).read_text())
        _write(directory / "identity" / "files" / "token-private-key.pem", certificates.token_key.read_text())
        _write(directory / "booking" / "files" / "person-keys", certificates.person_keys.read_text())
        _write(directory / "notify" / "files" / "vapid-private-key", certificates.push_key.read_text())
        _write(directory / "tokens" / "jwks.json", certificates.jwks.read_text())
    _write(directory / "notify" / "files" / "resend-api-key", mail_key)
    _write(directory / "notify" / "files" / "resend-webhook-secrets", webhook_secrets)
    for name, unset in _STRIPE.items():
        given = os.environ.get(name.upper().replace("-", "_"), unset)
        _write(directory / "payments" / "files" / name, given)
    for name in SERVICES:
        app_url, owner_url = (derived_url(admin_url, name, kind) for kind in ("app", "owner"))
        _write(directory / name / "files" / "broker-url", broker_url)
        _write(directory / name / "database" / "app-url", app_url)
        _write(directory / name / "database" / "owner-url", owner_url)
        _write(directory / name / "database" / "app.env", f"POWERHOUSE_{name.upper()}_DATABASE_URL={app_url}\n")
        _write(directory / name / "database" / "migrate.env", f"POWERHOUSE_BROKER_URL={broker_url}\n")


def _write(file: Path, content: str) -> None:
    """Readable by the users inside containers; the directory at the top is closed to the users of this machine."""
    for folder in reversed(file.parents[:3]):
        if not folder.exists():
            folder.mkdir()
            folder.chmod(0o755)
    file.write_text(content)
    file.chmod(0o644)


if __name__ == "__main__":
    main()
