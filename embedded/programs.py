"""Which processes a run consists of, and what each of them is told: no more than it needs."""

import os
import secrets
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from embedded.certificates import Certificates
from embedded.children import Child, program
from embedded.processes import free_port, log_file
from embedded.sandboxes.keys import Keys
from services.chassis.db.urls import service_url

SERVICES = ("identity", "scheduling", "booking", "notify", "payments")
# Stages of the end: what takes requests first, the databases last.
GATEWAY, WORK, SERVE, SANDBOX, SERVERS = range(5)
PASSED_ON = (
    *("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE", "COVERAGE_PROCESS_START", "COVERAGE_PROCESS_CONFIG"),
    *("POWERHOUSE_PROFILE", "POWERHOUSE_BIND_HOST", "POWERHOUSE_CLOCK_FILE"),
    *("POWERHOUSE_OTLP_ENDPOINT", "POWERHOUSE_TRACE_SAMPLE_RATIO"),
    *("POWERHOUSE_RATE_LIMIT", "POWERHOUSE_PUBLIC_RATE_LIMIT", "POWERHOUSE_CORS_ORIGINS"),
)
# What the person names to send real messages, and what may be said beside it. Each also as `…_FILE`.
MAIL = ("RESEND_API_KEY", "SENDGRID_API_KEY", "POWERHOUSE_SMTP_URL")
SMS = ("TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN")
BESIDE = (
    *("POWERHOUSE_MAIL_PROVIDER", "POWERHOUSE_MAIL_FAILOVER", "POWERHOUSE_MAIL_FROM", "RESEND_API_URL"),
    *("RESEND_WEBHOOK_SECRETS", "SENDGRID_API_URL", "SENDGRID_WEBHOOK_KEYS", "TWILIO_API_URL"),
    *("TWILIO_OTHER_AUTH_TOKEN", "VAPID_PRIVATE_KEY", "VAPID_CONTACT", "POWERHOUSE_PUSH_SERVICES"),
    *("POWERHOUSE_MAIL_RATE", "POWERHOUSE_SMS_RATE", "POWERHOUSE_PUSH_RATE"),
)
STRIPE = ("STRIPE_API_KEY",)
BESIDE_STRIPE = ("STRIPE_PUBLISHABLE_KEY", "STRIPE_API_URL", "STRIPE_WEBHOOK_SECRETS", "POWERHOUSE_OWN_KEY_STUDIO")


class Ports:
    """Free loopback ports by name; those of the last run are taken again while nobody else has them."""

    def __init__(self, remembered: Mapping[str, int]) -> None:
        self.chosen: dict[str, int] = {}
        self._remembered = remembered

    def __getitem__(self, name: str) -> int:
        if name not in self.chosen:
            port = free_port(self._remembered.get(name))
            while port in self.chosen.values():
                port = free_port()
            self.chosen[name] = port
        return self.chosen[name]


@dataclass(frozen=True)
class Run:
    """One run: its directory, its servers, its ports and keys. `environ` is what the person who started it has set."""

    var: Path
    port: int
    database_url: str
    broker_url: str
    ports: Ports
    certificates: Certificates
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)
    keys: Keys = field(default_factory=Keys)
    stripe_key: str = field(default_factory=lambda: f"test_{secrets.token_hex(12)}")
    stripe_webhook_secret: str = field(default_factory=lambda: f"whsec_{secrets.token_hex(16)}")

    @property
    def public_url(self) -> str:
        """Where people find this run."""
        return self.environ.get("POWERHOUSE_PUBLIC_URL", f"http://127.0.0.1:{self.port}")

    def migration(self) -> Child:
        """Brings all databases up to date; the one child that may act as administrator."""
        environment = {**self._common(), **self._overrides()}
        environment |= {"POWERHOUSE_DATABASE_URL": self.database_url, "POWERHOUSE_BROKER_URL": self.broker_url}
        return self._program("migrate", SERVE, ["embedded.migrate"], environment)

    def demo(self) -> Child:
        """Loads the demo studios when there are none, through the services' own ports."""
        environment = {
            **self._common(),
            **self._targets(),
            **({} if self.sends_real_mail else self._capture()),
            **self._payment_pages(),
            "POWERHOUSE_VAR_DIR": str(self.var),
            "POWERHOUSE_TLS_DIR": str(self.certificates.tls("gateway")),
        }
        return self._program("demo", GATEWAY, ["embedded.demo"], environment)

    def programs(self) -> Iterable[Child]:
        """Everything that keeps running."""
        if self.has_sandbox:
            yield self._sandbox()
        if not self.takes_real_money:
            yield self._stripe_sandbox()
        for service in SERVICES:
            yield self._serve(service)
            yield self._work(service)
        yield self._gateway()

    @property
    def sends_real_mail(self) -> bool:
        """Whether the person named a mail provider of their own."""
        return any(self._given(MAIL))

    @property
    def has_sandbox(self) -> bool:
        """Whether mail or text messages stay on this machine."""
        return not (self.sends_real_mail and any(self._given(SMS)))

    @property
    def takes_real_money(self) -> bool:
        """Whether the person named a Stripe key of their own."""
        return any(self._given(STRIPE))

    def _serve(self, service: str) -> Child:
        environment = {
            **self._of_service(service),
            "POWERHOUSE_GRPC_PORT": str(self.ports[f"{service}.grpc"]),
            "POWERHOUSE_PUBLIC_GRPC_PORT": str(self.ports[f"{service}.public_grpc"]),
        }
        return self._probed(f"{service}.serve", SERVE, [f"services.{service}", "serve"], environment)

    def _work(self, service: str) -> Child:
        # Celery warns about root; who runs a development machine as root knows, and no message here is code.
        environment = {
            **self._of_service(service),
            "POWERHOUSE_BROKER_URL": self.broker_url,
            "PYTHONWARNINGS": "ignore:You're running the worker",
        }
        return self._probed(f"{service}.work", WORK, [f"services.{service}", "work"], environment)

    def _gateway(self) -> Child:
        environment = {
            **self._common(),
            **self._keys("gateway"),
            **self._targets(),
            "POWERHOUSE_PORT": str(self.port),
            "POWERHOUSE_PUBLIC_URL": self.public_url,
            **self._capture(),
            **self._payment_pages(),
        }
        return self._probed("gateway", GATEWAY, ["gateway"], environment)

    def _sandbox(self) -> Child:
        port = self.ports["sandbox"]
        environment = {**self._common(), **self.keys.of_sandbox()}
        arguments = ["embedded.sandboxes", "--port", str(port), "--directory", str(self.var / "messages")]
        arguments += ["--smtp-port", str(self.ports["sandbox.smtp"]), "--deliver"]
        arguments += ["--webhooks", f"{self.public_url}/webhooks"]
        child = self._program("sandbox", SANDBOX, arguments, environment)
        child.probe = port
        return child

    def _stripe_sandbox(self) -> Child:
        port = self.ports["stripe"]
        environment = {
            **self._common(),
            "STRIPE_API_KEY": f"sk_{self.stripe_key}",
            "STRIPE_WEBHOOK_SECRET": self.stripe_webhook_secret,
        }
        arguments = [
            *("embedded.sandboxes.stripe", "--port", str(port), "--directory", str(self.var / "stripe")),
            *("--public-url", f"{self.public_url}/sandbox/stripe"),
            *("--webhook-url", f"http://127.0.0.1:{self.port}/webhooks/stripe"),
        ]
        child = self._program("stripe", SANDBOX, arguments, environment)
        child.probe = port
        return child

    def _stripe(self) -> dict[str, str]:
        """What payments is told: the person's own Stripe, or the sandbox."""
        if self.takes_real_money:
            return self._given((*STRIPE, *BESIDE_STRIPE))
        return {
            "STRIPE_API_KEY": f"sk_{self.stripe_key}",
            "STRIPE_PUBLISHABLE_KEY": f"pk_{self.stripe_key}",
            "STRIPE_API_URL": f"http://127.0.0.1:{self.ports['stripe']}",
            "STRIPE_WEBHOOK_SECRETS": self.stripe_webhook_secret,
        }

    def _sandbox_url(self) -> str:
        return f"http://127.0.0.1:{self.ports['sandbox']}"

    def _capture(self) -> dict[str, str]:
        return {"POWERHOUSE_SANDBOX_URL": self._sandbox_url()} if self.has_sandbox else {}

    def _payment_pages(self) -> dict[str, str]:
        if self.takes_real_money:
            return self._given(("STRIPE_JS_URL",))
        return {
            "POWERHOUSE_STRIPE_SANDBOX_URL": f"http://127.0.0.1:{self.ports['stripe']}",
            "STRIPE_JS_URL": "/sandbox/stripe/v3/stripe.js",
        }

    def _of_service(self, service: str) -> dict[str, str]:
        environment = {
            **self._common(),
            **self._keys(service),
            **self._targets(),
            f"POWERHOUSE_{service.upper()}_DATABASE_URL": service_url(
                service, "app", {**self._overrides(), "POWERHOUSE_DATABASE_URL": self.database_url}
            ),
            "POWERHOUSE_PUBLIC_URL": self.public_url,
        }
        if service == "identity":
            environment["POWERHOUSE_TOKEN_PRIVATE_KEY_FILE"] = str(self.certificates.token_key)
        if service == "booking":
            environment["POWERHOUSE_PERSON_KEYS_FILE"] = str(self.certificates.person_keys)
        if service == "notify":
            environment |= self._channels()
        if service == "payments":
            environment |= self._stripe()
        return environment

    def _channels(self) -> dict[str, str]:
        """The sandboxes' keys and addresses, but for what the person has named."""
        sandbox = dict(self.keys.of_notify(self._sandbox_url()))
        sandbox["POWERHOUSE_SMTP_URL"] = f"smtp://127.0.0.1:{self.ports['sandbox.smtp']}"
        if self.sends_real_mail:
            sandbox = {name: value for name, value in sandbox.items() if not name.startswith(("RESEND", "SENDGRID"))}
            del sandbox["POWERHOUSE_SMTP_URL"]
        if any(self._given(SMS)):
            sandbox = {name: value for name, value in sandbox.items() if not name.startswith("TWILIO")}
        push = {"VAPID_PRIVATE_KEY_FILE": str(self.certificates.push_key)}
        return {**push, **sandbox, **self._given((*MAIL, *SMS, *BESIDE))}

    def _given(self, names: Iterable[str]) -> dict[str, str]:
        """What the person has set of these, by itself or as a file."""
        spelled = (spelling for name in names for spelling in (name, f"{name}_FILE"))
        return {name: self.environ[name] for name in spelled if self.environ.get(name)}

    def _common(self) -> dict[str, str]:
        return {name: self.environ[name] for name in PASSED_ON if name in self.environ}

    def _overrides(self) -> dict[str, str]:
        return {name: value for name, value in self.environ.items() if name.endswith("_DATABASE_URL")}

    def _keys(self, name: str) -> dict[str, str]:
        return {
            "POWERHOUSE_TLS_DIR": str(self.certificates.tls(name)),
            "POWERHOUSE_SECRET_FILE": str(self.certificates.secret(name)),
            "POWERHOUSE_TOKEN_JWKS_FILE": str(self.certificates.jwks),
        }

    def _targets(self) -> dict[str, str]:
        return {f"POWERHOUSE_{name.upper()}_TARGET": f"127.0.0.1:{self.ports[f'{name}.grpc']}" for name in SERVICES}

    def _probed(self, name: str, stage: int, module: list[str], environment: dict[str, str]) -> Child:
        port = self.ports[f"{name}.metrics"]
        child = self._program(name, stage, module, {**environment, "POWERHOUSE_METRICS_PORT": str(port)})
        child.probe = port
        return child

    def _program(self, name: str, stage: int, module: list[str], environment: dict[str, str]) -> Child:
        return program(name, stage, [sys.executable, "-m", *module], environment, log_file(self.var, name))
