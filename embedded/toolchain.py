"""Makes and refreshes `.venv` from the hashed lock. Run by `make setup` with any Python 3, so it speaks an old dialect."""

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


def main():
    # type: () -> None
    """Leaves quietly when `.venv` was made from this very lock by a Python of this version."""
    if sys.version_info < OLDEST:
        sys.exit(
            "Powerhouse needs Python 3.11 or newer, but {} is Python {}.{}.\n"
            "Name a newer one: make PYTHON=python3.12 <target>".format(sys.executable, *sys.version_info[:2])
        )
    with open(LOCK, "rb") as lock:
        stamp = hashlib.sha256(lock.read() + sys.version.encode() + ROOT.encode()).hexdigest()
    stamp_file = os.path.join(VENV, ".stamp")
    if os.path.exists(PYTHON) and _read(stamp_file) == stamp:
        return
    print("Setting up .venv (once; needs a package index) ...", flush=True)
    if not _works():
        shutil.rmtree(VENV, ignore_errors=True)
        if subprocess.call([sys.executable, "-m", "venv", VENV]) != 0:
            shutil.rmtree(VENV, ignore_errors=True)
            sys.exit(
                "python3 cannot make a virtual environment here. On Debian and Ubuntu: apt-get install python3-venv"
            )
    _install()
    site_packages = subprocess.check_output(
        [PYTHON, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        universal_newlines=True,
    ).strip()
    with open(os.path.join(site_packages, "powerhouse.pth"), "w") as paths:
        paths.write("{}\n{}\n".format(ROOT, os.path.join(ROOT, "gen")))
    with open(stamp_file, "w") as file:
        file.write(stamp)


def _works():
    # type: () -> bool
    version = "import sys; sys.exit(sys.version_info[:2] != {!r})".format(tuple(sys.version_info[:2]))
    return (
        os.path.exists(PYTHON)
        and subprocess.call([PYTHON, "-m", "pip", "--version"], stdout=subprocess.DEVNULL) == 0
        and (subprocess.call([PYTHON, "-c", version]) == 0)
    )


def _install():
    # type: () -> None
    pip = [PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    uv = shutil.which("uv") or os.path.join(VENV, "bin", "uv")
    if os.path.exists(uv) or subprocess.call(pip + [UV]) == 0:
        command = [
            uv,
            "pip",
            "install",
            "--quiet",
            "--python",
            PYTHON,
            "--require-hashes",
            "-r",
            LOCK,
        ]
        if subprocess.call(command) == 0:
            return
        print(
            "uv could not install the lock; trying pip, which takes a minute ...",
            flush=True,
        )
    if subprocess.call(pip + ["--require-hashes", "-r", LOCK]) != 0:
        sys.exit("The packages of requirements-dev.lock could not be installed; the lines above say why.")


def _read(path):
    # type: (str) -> str
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        return ""


if __name__ == "__main__":
    main()
