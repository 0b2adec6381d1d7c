"""Exchanges, queues and bindings, and the one way in which every process of a service opens the broker.

All events go through the topic exchange `powerhouse.events` with the routing key `<publisher>.<aggregate>`. A service
has two queues: `<service>.events`, bound to the publishers it listens to, and `<service>.jobs`, for hints at due jobs.
"""

from celery import Celery
from kombu.entity import Exchange, Queue, binding

from services.chassis.messaging.consumers import Consumers

# Name of a Celery task, the same in every service.
APPLY_EVENTS = "powerhouse.apply_events"

EVENTS = Exchange("powerhouse.events", type="topic", durable=True)
_DEAD = Exchange("powerhouse.dead", type="fanout", durable=True)

# What RabbitMQ does with a message that kills its worker again and again; the redis transport ignores it.
_QUORUM = {"x-queue-type": "quorum", "x-delivery-limit": 10, "x-dead-letter-exchange": _DEAD.name}
_WEEK_MS = 7 * 24 * 3600 * 1000
# Dead messages are kept for people to look at: what they carried heals through the feed and the jobs table.
_DEAD_QUEUE = Queue(
    "powerhouse.dead",
    _DEAD,
    queue_arguments={"x-queue-type": "quorum", "x-max-length": 10_000, "x-message-ttl": _WEEK_MS},
)

# Seconds to wait for a connection, a confirm, an answer of the broker.
BROKER_TIMEOUT = 10


def is_amqp(broker_url: str) -> bool:
    """RabbitMQ, which confirms and tells what it could not route; else the embedded redis transport."""
    return broker_url.startswith("amqp")


def run_task(table: str) -> str:
    """Name of the Celery task that runs rows of a queue: `powerhouse.run_jobs`."""
    return f"powerhouse.run_{table}"


def jobs_queue(service: str) -> str:
    """Name of the queue and, in the default exchange, its routing key."""
    return f"{service}.jobs"


def events_queue(service: str) -> str:
    return f"{service}.events"


def make_app(broker_url: str, service: str, consumers: Consumers) -> Celery:
    """The Celery application of a service, for its worker and its publishers."""
    app = Celery(service, broker=broker_url, set_as_current=False)
    app.conf.update(
        task_queues=_queues(service, consumers),
        task_default_queue=jobs_queue(service),
        task_create_missing_queues=False,
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        # No pidbox queues: nobody inspects workers, and a restart under the same name would be locked out.
        worker_enable_remote_control=False,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,
        broker_connection_timeout=BROKER_TIMEOUT,
        broker_transport_options=_transport_options(broker_url),
    )
    return app


def declare(broker_url: str, service: str, consumers: Consumers) -> None:
    """Makes the service's exchanges, queues and bindings; harmless when they are there.

    Run before anything is published (a message without a binding is dropped), and again from time to time, since a
    broker may be wiped. Raises kombu.exceptions.OperationalError when the broker is away.
    """
    with make_app(broker_url, service, consumers).connection_for_write(heartbeat=0) as connection:
        connection.ensure_connection(max_retries=1, timeout=BROKER_TIMEOUT)
        channel = connection.default_channel
        EVENTS.bind(channel).declare()
        for queue in (_DEAD_QUEUE, *_queues(service, consumers)):
            queue.bind(channel).declare()


def _queues(service: str, consumers: Consumers) -> list[Queue]:
    bindings = [binding(EVENTS, routing_key=f"{source}.#") for source in consumers.sources()]
    queues = [Queue(jobs_queue(service), queue_arguments=_QUORUM)]
    if bindings:
        queues.append(Queue(events_queue(service), bindings=bindings, queue_arguments=_QUORUM))
    return queues


def _transport_options(broker_url: str) -> dict[str, bool | int]:
    if is_amqp(broker_url):
        return {"confirm_publish": True}
    return {
        # A message taken by a worker that died comes back after this many seconds; longer work runs twice, harmlessly.
        "visibility_timeout": 30,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
        "socket_connect_timeout": BROKER_TIMEOUT,
        "socket_keepalive": True,
    }
