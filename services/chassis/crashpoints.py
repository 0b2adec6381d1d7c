"""Places where a test makes a process die, to prove that nothing is lost or doubled there. Without effect otherwise."""

import os

from services.chassis.config import ConfigurationError
from services.chassis.settings import PRODUCTION

CRASHPOINTS = (
    "relay_after_publish",  # the broker has the events, the outbox does not know it yet
    "inbox_after_commit",  # the effect is committed, the broker does not know it yet
    "dispatcher_after_announce",  # rows are marked announced, the broker was just told
    "worker_after_claim",  # jobs are marked running, none has run
    "worker_after_handler",  # a job has run, its outcome is not recorded
    "scheduling_mid_generation",  # a run has written its sessions, the commit is still to come
    "notify_after_provider",  # the mail provider has accepted, notify does not know it yet
    "payments_after_intent",  # the payment provider has the intent, payments does not know its id yet
    "payments_after_apply",  # an event of the provider is applied, its job is not recorded
    "payments_after_freeze",  # booking has frozen the credits of a refund, payments does not know it yet
    "payments_after_refund",  # the payment provider has refunded, payments does not know it yet
    "payments_after_confirm",  # booking has confirmed the place that was paid, payments does not know it yet
    "payments_after_grant",  # booking has granted the package, payments does not know it yet
)

_armed = os.environ.get("POWERHOUSE_CRASHPOINT", "")
if _armed and os.environ.get("POWERHOUSE_PROFILE") == PRODUCTION:
    raise ConfigurationError("POWERHOUSE_CRASHPOINT is refused in production")
if _armed and _armed not in CRASHPOINTS:
    raise ConfigurationError(f"POWERHOUSE_CRASHPOINT names no crash point; there are {', '.join(CRASHPOINTS)}")


def crashpoint(name: str) -> None:
    """Ends the process here and now, as `kill -9` would, when POWERHOUSE_CRASHPOINT names this place."""
    if name == _armed:
        os._exit(137)
