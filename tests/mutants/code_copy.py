"""A copy of the code to spoil, and the process whose forks run its tests."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import cache_from_source
from pathlib import Path

from tests.mutants import forks
from tests.support.servers import SHARED_POSTGRES

ROOT = Path(__file__).parents[2]
COPIED = ("services", "gateway", "embedded", "tests")
LINKED = ("gen", "protos", ".venv", "pyproject.toml")
# Files of other people's modules lie below one of these.
THEIRS = (f"{os.sep}site-packages{os.sep}", f"{os.sep}gen{os.sep}")


@dataclass
class CodeCopy:
    """The code in another place, and who runs tests there."""

    folder: Path
    process: subprocess.Popen[str]

    @contextmanager
    def replaced(self, name: str, old: str, new: str) -> Iterator[None]:
        """In a file, for the length of the block."""
        file = self.folder / name
        healthy = file.read_text(encoding="utf-8")
        assert healthy.count(old) == 1, f"{name} no longer has the line of this mutant"
        # What was compiled from the healthy file is never taken for the spoilt one.
        Path(cache_from_source(str(file))).unlink(missing_ok=True)
        file.write_text(healthy.replace(old, new), encoding="utf-8")
        try:
            yield
        finally:
            file.write_text(healthy, encoding="utf-8")

    def run(self, test: str) -> tuple[int, str]:
        """pytest's exit code and what it said."""
        output = self.folder / "output"
        self._tell([test, str(output)])
        assert self.process.stdout
        answer = self.process.stdout.readline()
        assert answer, "the process that forks has ended; its words are among the errors of this run"
        return int(answer), output.read_text(errors="replace")

    def _tell(self, line: list[str]) -> None:
        assert self.process.stdin
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()


@contextmanager
def code_copy(folder: Path, postgres_url: str) -> Iterator[CodeCopy]:
    """Copies the code; generated stubs and tools are shared. The tests use the server at `postgres_url`."""
    for name in COPIED:
        # Half written: other tests run beside.
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("*.pyc.*", "node_modules"))
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    process = subprocess.Popen(
        # -P: the folder of the program is not one of modules.
        [sys.executable, "-P", forks.__file__],
        cwd=folder,
        env={
            **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV"))},
            "PYTHONPATH": f"{folder}{os.pathsep}{folder / 'gen'}",
            "PYTHONDONTWRITEBYTECODE": "1",
            SHARED_POSTGRES: postgres_url,
        },
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        made = CodeCopy(folder, process)
        made._tell([name for name, module in list(sys.modules.items()) if _is_theirs(module)])
        yield made
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder)


def _is_theirs(module: object) -> bool:
    file = getattr(module, "__file__", None) or ""
    return any(part in file for part in THEIRS)
