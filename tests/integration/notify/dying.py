"""A worker of notify that takes what is due and dies by kill -9 in the middle of it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.services import Running

ROOT = Path(__file__).parents[3]
_WORK = """
import asyncio
from services.chassis import config
from services.chassis.jobs.timing import Timing
from services.chassis.jobs.worker import Worker
from services.chassis.resources import open_resources
from services.notify.service import SERVICE

async def work():
    resources = open_resources("notify", config.load(SERVICE.settings))
    [outbound] = SERVICE.queues
    rows = await resources.database.queue("SELECT id FROM deliveries WHERE state = 'pending'")
    await Worker(resources, outbound, Timing()).run([row["id"] for row in rows])

asyncio.run(work())
"""


async def die(notify: Running, providers: Mapping[str, str], crashpoint: str = "notify_after_provider") -> None:
    """The worker's short life; `providers` is its environment beside what every process of notify has."""
    mesh = notify.mesh
    environment = {
        **os.environ,
        "POWERHOUSE_DATABASE_URL": mesh.admin_url,
        "POWERHOUSE_BROKER_URL": "memory://",
        "POWERHOUSE_TLS_DIR": str(mesh.certificates.tls("notify")),
        "POWERHOUSE_TOKEN_JWKS_FILE": str(mesh.certificates.jwks),
        "POWERHOUSE_SECRET_FILE": str(mesh.certificates.secret("notify")),
        **{f"POWERHOUSE_{name.upper()}_TARGET": target for name, target in mesh.targets.items()},
        **providers,
        "POWERHOUSE_CRASHPOINT": crashpoint,
    }
    process = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-c", _WORK],
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 137, process.stderr
