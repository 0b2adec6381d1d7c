"""The whole product as `make run` starts it, for tests that stand outside and look in."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import asyncpg
import httpx

from embedded.processes import free_port
from services.chassis.db.urls import database_name

ROOT = Path(__file__).parents[2]
READY = 150.0
T = TypeVar("T")


@dataclass
class Product:
    """A running product and what a visitor needs."""

    url: str
    var: Path
    process: subprocess.Popen[bytes]

    @property
    def facts(self) -> dict[str, Any]:
        """`var/run.json`: ports and keys."""
        loaded: dict[str, Any] = json.loads((self.var / "run.json").read_text())
        return loaded

    @property
    def authority(self) -> bytes:
        """The certificate of the CA that programs trust."""
        return Path(self.facts["authority"]).read_bytes()

    @property
    def demo(self) -> dict[str, Any]:
        """`var/demo.json`: password and logins."""
        loaded: dict[str, Any] = json.loads((self.var / "demo.json").read_text())
        return loaded

    def log(self) -> str:
        """What all processes have logged."""
        return "\n".join(file.read_text(errors="replace") for file in (self.var / "log").glob("*.log"))

    def sign_in(self, role: str) -> "Visitor":
        """A visitor signed in with the demo login of a role."""
        login = next(login for login in self.demo["logins"] if login["role"].lower() == role)
        visitor = Visitor(self.url)
        visitor.post("/v1/accounts:signIn", {"email": login["email"], "password": self.demo["password"]})
        visitor.studio = login.get("studio_name", "")
        return visitor

    def mails(self, to: str) -> list[dict[str, Any]]:
        """Mails that reached an address, as the sandbox counted them."""
        answer = httpx.get(f"{self.url}/sandbox/messages", params={"to": to, "limit": 200})
        answer.raise_for_status()
        found: list[dict[str, Any]] = answer.json()["messages"]
        return found

    def sql(self, service: str, statement: str, *args: Any) -> list[asyncpg.Record]:
        """Runs SQL in a service's database as the administrator."""

        async def fetch() -> list[asyncpg.Record]:
            connection = await asyncpg.connect(self.database_url(service))
            try:
                return list(await connection.fetch(statement, *args))
            finally:
                await connection.close()

        # In a thread, since the test may have a running loop of its own.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, fetch()).result()

    def database_url(self, service: str) -> str:
        """A service's database for the administrator."""
        secret = (self.var / "postgres" / "password").read_text().strip()
        return f"postgresql://postgres:{secret}@127.0.0.1:{self.facts['ports']['postgres']}/{database_name(service)}"

    def children(self, pattern: str) -> list[int]:
        """Process ids whose command line matches, among the descendants of this run."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, ValueError):
                continue
            if parent == self.process.pid and re.search(pattern, command):
                found.append(int(entry.name))
        return found

    def memory(self) -> float:
        """GiB: the proportional set size of everything that runs, pages that are shared counted once."""
        total, pending = 0, [self.process.pid]
        while pending:
            pid = pending.pop()
            try:
                shares = Path(f"/proc/{pid}/smaps_rollup").read_text()
                pending += map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
            except OSError:
                continue
            total += next(int(line.split()[1]) for line in shares.splitlines() if line.startswith("Pss:"))
        return total / 2**20


@dataclass
class Visitor:
    """A browser-like client: keeps the session cookie and the CSRF token, sends an idempotency key with each write."""

    url: str
    studio: str = ""
    cookie: str = ""
    csrf: str = ""
    client: httpx.Client = field(default_factory=lambda: httpx.Client(timeout=60))

    def get(self, path: str, expect: int = 200, **params: str) -> Any:
        return self._send("GET", path, None, expect, params)

    def post(self, path: str, body: Any, expect: int = 200, key: str | None = None) -> Any:
        return self._send("POST", path, body, expect, {}, key)

    def patch(self, path: str, body: Any, expect: int = 200) -> Any:
        return self._send("PATCH", path, body, expect, {})

    def delete(self, path: str, expect: int = 200) -> Any:
        return self._send("DELETE", path, None, expect, {})

    def attempt(self, method: str, path: str, body: Any, key: str) -> httpx.Response | None:
        """One try whatever comes of it; None when nobody answered."""
        try:
            return self.client.request(method, self.url + path, json=body, headers=self._headers(key))
        except httpx.TransportError:
            return None

    def _headers(self, key: str) -> dict[str, str]:
        headers = {"Idempotency-Key": key} if key else {}
        # httpx keeps `__Host-` cookies from plain http, although browsers and curl send them to localhost.
        return headers | ({"Cookie": self.cookie, "X-CSRF-Token": self.csrf} if self.cookie else {})

    def _send(
        self, method: str, path: str, body: Any, expect: int, params: Mapping[str, str], key: str | None = None
    ) -> Any:
        headers = self._headers("" if method == "GET" else key or str(uuid4()))
        answer = self.client.request(method, self.url + path, json=body, params=params, headers=headers)
        assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
        for cookie in answer.headers.get_list("set-cookie"):
            self.cookie = cookie.split(";", 1)[0]
        self.csrf = answer.headers.get("x-csrf-token", self.csrf)
        return answer.json() if answer.content else None


def eventually(look: Callable[[], T], within: float = 45, what: str = "") -> T:
    """Looks until something true is seen. For what the product promises soon, not at once."""
    deadline = time.monotonic() + within
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < deadline, f"not within {within} s: {what or look}"
        time.sleep(0.1)


@contextmanager
def product(
    var: Path,
    environment: Mapping[str, str] | None = None,
    *,
    program: Sequence[str] = ("-m", "embedded"),
    folder: Path = ROOT,
) -> Iterator[Product]:
    """Starts the product of a folder on a free port and waits until it says it is ready."""
    port = free_port()
    with open(var / "console.log", "wb") as console_log:
        process = subprocess.Popen(
            [sys.executable, *program],
            cwd=folder,
            env={**os.environ, "POWERHOUSE_VAR_DIR": str(var), "POWERHOUSE_PORT": str(port), **(environment or {})},
            stdout=console_log,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + READY
        while "Powerhouse runs at" not in (console := (var / "console.log").read_text(errors="replace")):
            assert process.poll() is None, f"the product ended:\n{console[-3000:]}"
            assert time.monotonic() < deadline, f"the product is not ready:\n{console[-3000:]}"
            time.sleep(0.1)
        yield Product(f"http://127.0.0.1:{port}", var, process)
    finally:
        process.send_signal(signal.SIGINT)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
