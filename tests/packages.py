"""Installs Debian packages that tests use, where it may: `make test` runs it first.

Says aloud what is missing otherwise; tests that need it are then skipped, and fail in CI.
"""

import os
import shutil
import subprocess
import sys

# What to look for -> the Debian packages that bring it.
WANTED = {"rabbitmq-server": ["rabbitmq-server"], "chromium": ["chromium", "fonts-liberation"]}


def main() -> None:
    missing = [package for program, packages in WANTED.items() if not _is_there(program) for package in packages]
    if not missing:
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        sys.stderr.write(f"\nNOT INSTALLED: {', '.join(missing)}. Tests that need it are SKIPPED.\n\n")
        return
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update"], ["install", "--yes", "--no-install-recommends", *missing]):
        subprocess.run(["apt-get", "-qq", *command], env=environment, stdout=subprocess.DEVNULL, check=True)


def _is_there(program: str) -> bool:
    # Debian puts servers where ordinary users do not look.
    return shutil.which(program, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin") is not None


if __name__ == "__main__":
    main()
