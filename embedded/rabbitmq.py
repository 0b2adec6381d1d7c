"""A RabbitMQ on private ports from Debian's package, for tests of what only the real broker promises.

It starts in 6 to 10 seconds; share one per test run. Its Erlang port mapper is a private one that ends with it.
"""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from embedded.processes import (
    Server,
    Unusable,
    end,
    free_port,
    home,
    is_free,
    log_file,
    password,
    spawn,
    wait_until,
)

USER = "powerhouse"


@dataclass(frozen=True)
class RabbitMQ:
    """One node's directory below `var`. A second start on it keeps queues and messages."""

    var: Path
    port: int | None = None

    @contextmanager
    def running(self) -> Iterator[Server]:
        """The node, with its AMQP address as `url`. Raises Unusable when the package is not installed.

        Its sudden death is `os.killpg(server.process.pid, SIGKILL)`.
        """
        program, mapper = _programs()
        base = home(self.var / "rabbitmq")
        secret = password(base / "password")
        port, dist, mapper_port = free_port(self.port), free_port(), free_port()
        (base / "rabbitmq.conf").write_text(
            f"listeners.tcp.default = 127.0.0.1:{port}\ndefault_user = {USER}\ndefault_pass = {secret}\n"
            "vm_memory_high_watermark.absolute = 512MB\ndisk_free_limit.absolute = 50MB\n"
            "log.console = true\nlog.file = false\n"
        )
        environment = _environment(base, port, dist, mapper_port)
        log = log_file(self.var, "rabbitmq")
        with open(log, "ab") as output:
            mapping = [mapper, "-address", "127.0.0.1", "-port", str(mapper_port)]
            epmd = spawn(mapping, base, output, environment=environment, as_nobody=True)
            node = spawn([str(program)], base, output, environment=environment, as_nobody=True)
        try:
            wait_until(lambda: _answers(port, secret), node, log, 90)
            yield Server(node, port, f"amqp://{USER}:{secret}@127.0.0.1:{port}//")
        finally:
            end(node, signal.SIGTERM, 20)
            with suppress(ProcessLookupError):
                os.killpg(node.pid, signal.SIGKILL)
            # The script is gone; the node under it gives its port back a moment later.
            deadline = time.monotonic() + 5
            while not is_free(port) and time.monotonic() < deadline:
                time.sleep(0.02)
            end(epmd, signal.SIGTERM, 5)


def _environment(base: Path, port: int, dist: int, mapper_port: int) -> dict[str, str]:
    (base / "enabled_plugins").write_text("[].\n")
    return {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(base),
        # The same on every start, since the name is part of the stored queues; the private mapper keeps nodes apart.
        "RABBITMQ_NODENAME": "powerhouse@localhost",
        "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODE_PORT": str(port),
        "RABBITMQ_DIST_PORT": str(dist),
        "ERL_EPMD_PORT": str(mapper_port),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_MNESIA_BASE": str(base / "mnesia"),
        "RABBITMQ_LOG_BASE": str(base / "log"),
        "RABBITMQ_CONF_ENV_FILE": "/dev/null",
        "RABBITMQ_CONFIG_FILE": str(base / "rabbitmq"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(base / "enabled_plugins"),
        "RABBITMQ_PID_FILE": str(base / "rabbitmq.pid"),
        "RABBITMQ_GENERATED_CONFIG_DIR": str(base / "generated"),
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }


def _answers(port: int, secret: str) -> bool:
    from amqp import Connection
    from amqp.exceptions import AMQPError

    try:
        with Connection(f"127.0.0.1:{port}", USER, secret, connect_timeout=5):
            return True
    except (OSError, AMQPError):
        return False


def _programs() -> tuple[Path, str]:
    """The node's own start script and the port mapper. The packaged wrapper insists on one fixed user and home."""
    nodes = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin/rabbitmq-server"))
    mapper = shutil.which("epmd")
    if not nodes or not mapper:
        raise Unusable("No RabbitMQ here: apt-get install --no-install-recommends rabbitmq-server")
    return nodes[-1], mapper
