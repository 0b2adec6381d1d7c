"""Makes and refreshes `.venv` from the hashed lock. `make setup` runs it with any Python 3, so its dialect is old."""

import hashlib
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
LOCK = os.path.join(ROOT, "requirements-dev.lock")
PYTHON = os.path.join(VENV, "bin", "python")
UV = "uv==0.13.9"
OLDEST = (3, 11)


def main() -> None:
    """Leaves quietly when `.venv` was made from this very lock by a Python of this version."""
    if sys.version_info < OLDEST:
        sys.exit(
            f"Powerhouse needs Python 3.11 or newer, but {sys.executable} is Python {sys.version.split()[0]}.\n"
            "Name a newer one: make PYTHON=python3.12 <target>"
        )
    with open(LOCK, "rb") as lock:
        stamp = hashlib.sha256(lock.read() + sys.version.encode() + ROOT.encode()).hexdigest()
    stamp_file = os.path.join(VENV, ".stamp")
    if os.path.exists(PYTHON) and _read(stamp_file) == stamp:
        return
    print("Setting up .venv (once per lock; needs a package index) ...", flush=True)
    if not _works():
        _make()
    _install()
    site_packages = _output("import sysconfig; print(sysconfig.get_path('purelib'))")
    with open(os.path.join(site_packages, "powerhouse.pth"), "w") as paths:
        paths.write(f"{ROOT}\n{os.path.join(ROOT, 'gen')}\n")
    with open(stamp_file, "w") as file:
        file.write(stamp)


def _make() -> None:
    shutil.rmtree(VENV, ignore_errors=True)
    made = subprocess.run([sys.executable, "-m", "venv", VENV], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if made.returncode != 0:
        shutil.rmtree(VENV, ignore_errors=True)
        sys.exit(
            made.stdout.decode(errors="replace").strip()
            + f"\n\n{sys.executable} could not make {VENV}; on Debian and Ubuntu: apt-get install python3-venv"
        )


def _works() -> bool:
    """Whether `.venv` was made in this place by a Python of this version."""
    try:
        return _output("import pip, sys; print(sys.prefix, sys.version)") == f"{VENV} {sys.version}"
    except (OSError, subprocess.CalledProcessError):
        return False


def _install() -> None:
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    uv = shutil.which("uv") or os.path.join(VENV, "bin", "uv")
    if os.path.exists(uv) or subprocess.call([*pip, UV]) == 0:
        command = [
            uv,
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--python",
            PYTHON,
            "--require-hashes",
            "-r",
            LOCK,
        ]
        # Behind a company's own certificate authority the machine knows it, and uv's built-in list does not.
        if subprocess.call(command, env={**os.environ, "UV_SYSTEM_CERTS": "1"}) == 0:
            return
        print("uv could not install the lock; trying pip, which takes a minute ...", flush=True)
    if subprocess.call([*pip, "--require-hashes", "-r", LOCK]) != 0:
        sys.exit("The packages of requirements-dev.lock could not be installed; the lines above say why.")


def _output(program: str) -> str:
    return subprocess.check_output([PYTHON, "-c", program], universal_newlines=True).strip()


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


if __name__ == "__main__":
    main()
