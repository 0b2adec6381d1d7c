"""Sending Celery messages with confirms, from a thread of its own: the event loop never waits for the broker."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from celery import Celery
from kombu.messaging import Producer

from services.chassis.messaging import topology
from services.chassis.telemetry import logger

log = logger(__name__)


@dataclass(frozen=True)
class Message:
    """One Celery message: `body` is the task's only argument, plain JSON."""

    task: str
    exchange: str
    routing_key: str
    body: Sequence[Any]


class Publisher:
    """Keeps one connection to the broker and opens a new one after any error."""

    def __init__(self, app: Celery, broker_url: str) -> None:
        self._app, self._amqp = app, topology.is_amqp(broker_url)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="publisher")
        self._producer: Producer | None = None

    async def send(self, messages: Sequence[Message]) -> None:
        """Returns once the broker has confirmed all of them. After an error some may have been sent: send all again."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._send, messages)

    def close(self) -> None:
        """Waits for what is being sent, then closes the connection."""
        self._thread.submit(self._disconnect)
        self._thread.shutdown()

    def _send(self, messages: Sequence[Message]) -> None:
        try:
            producer = self._producer or self._connect()
            with producer.connection._reraise_as_library_errors():
                for message in messages:
                    self._publish(producer, message)
        except Exception:
            self._disconnect()
            raise

    def _publish(self, producer: Producer, message: Message) -> None:
        task = self._app.amqp.create_task_message(
            uuid4().hex, message.task, (message.body,), argsrepr="", kwargsrepr=""
        )
        producer.publish(
            task.body,
            exchange=message.exchange,
            routing_key=message.routing_key,
            headers=task.headers,
            serializer="json",
            delivery_mode="persistent",
            mandatory=True,
            confirm_timeout=topology.BROKER_TIMEOUT,
            **task.properties,
        )

    def _connect(self) -> Producer:
        # Without heartbeats: nothing would answer them between two messages.
        limits = {} if self._amqp else {"socket_timeout": topology.BROKER_TIMEOUT}
        connection = self._app.connection_for_write(heartbeat=0, transport_options=limits)
        connection.ensure_connection(max_retries=1, timeout=topology.BROKER_TIMEOUT)
        channel = connection.channel()
        topology.EVENTS.bind(channel).declare()
        self._producer = Producer(channel, auto_declare=False, on_return=_report_unroutable if self._amqp else None)
        return self._producer

    def _disconnect(self) -> None:
        if self._producer:
            connection, self._producer = self._producer.connection, None
            # A connection that broke may not be able to say good-bye; what matters is that it is not used again.
            try:
                connection.close()
            except Exception:
                log.debug("broker_connection_lost", exc_info=True)


def _report_unroutable(_error: Exception, exchange: str, routing_key: str, _message: Any) -> None:
    """Nobody listens, or a broker was wiped: the feed brings the events to whoever listens later."""
    log.warning("message_unroutable", exchange=exchange, routing_key=routing_key)
