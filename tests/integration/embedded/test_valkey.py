"""The embedded broker and the RabbitMQ of the tests: private, durable, gone at the end."""

import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from kombu.connection import Connection

from embedded.broker import Broker
from embedded.processes import Server, is_free, temporary_var
from embedded.rabbitmq import RabbitMQ


@pytest.fixture
def var() -> Iterator[Path]:
    with temporary_var() as folder:
        yield folder


def test_asks_for_its_password_and_keeps_it(var: Path) -> None:
    with (
        Broker(var).running() as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=5) as stranger,
    ):
        stranger.sendall(b"KEYS *\r\n")
        assert stranger.recv(100).startswith(b"-NOAUTH")
    assert is_free(server.port)
    with Broker(var, server.port).running() as again:
        assert again.url == server.url
    assert (var / "broker" / "valkey.conf").stat().st_mode & 0o777 == 0o600


def test_keeps_messages_when_it_is_stopped_and_when_it_is_killed(var: Path) -> None:
    with Broker(var).running() as server:
        send(server, "first")
    server = Broker(var).start()
    send(server, "second")
    time.sleep(1.2)  # the journal reaches the disk every second
    server.process.kill()
    server.process.wait()
    with Broker(var).running() as again:
        assert size(again) == 2


@pytest.mark.broker
def test_rabbitmq_keeps_messages_and_leaves_nothing_running(var: Path) -> None:
    if not shutil.which("epmd"):
        pytest.skip("rabbitmq-server is not installed on this machine")
    with RabbitMQ(var).running() as server:
        send(server, "kept")
        os.killpg(server.process.pid, signal.SIGKILL)
    with RabbitMQ(var, server.port).running() as again:
        assert again.url == server.url
        assert size(again) == 1
    assert is_free(again.port)
    assert not running_below(var)


def connect(server: Server) -> Connection:
    return Connection(server.url, transport_options={"confirm_publish": True})


def send(server: Server, text: str) -> None:
    with connect(server) as connection:
        queue = connection.SimpleQueue("notes")
        queue.put(text)
        queue.close()


def size(server: Server) -> int:
    with connect(server) as connection:
        queue = connection.SimpleQueue("notes")
        count: int = queue.qsize()
        queue.close()
        return count


def running_below(var: Path) -> list[str]:
    """Commands of processes that work in or were told of this directory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            if str(var) in command or str((process / "cwd").readlink()).startswith(str(var)):
                found.append(command)
        except OSError:
            continue
    return found
