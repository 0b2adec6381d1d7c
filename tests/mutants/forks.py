"""Tests run in a fork of a process that has loaded everybody else's modules, and none of ours.

Loading them costs more than most tests. Ours are read by the fork, spoilt as they are by then.
This file is a program and imports nothing of ours: its first line of input lists modules to load; each further line
is a test to run, answered by pytest's exit code.
"""

import contextlib
import importlib
import json
import os
import signal
import sys
from pathlib import Path

OURS = {"services", "gateway", "embedded", "tests", "bench"}
SECONDS = 180


def main() -> None:
    for name in json.loads(sys.stdin.readline()):
        # One that is missing here, the fork loads or misses itself.
        with contextlib.suppress(Exception):
            importlib.import_module(name)
    assert not OURS & {name.partition(".")[0] for name in sys.modules}, "a fork would not read our code"
    # A fork has but one thread, and locks that another held stay locked.
    assert len(list(Path("/proc/self/task").iterdir())) == 1, "a module started a thread"
    for line in sys.stdin:
        test, output = json.loads(line)
        child = os.fork()
        if child == 0:
            os._exit(_run(test, output))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _run(test: str, output: str) -> int:
    import pytest

    # Ends what hangs, by a code that no test gives.
    signal.alarm(SECONDS)
    with open(os.devnull) as nothing, open(output, "w") as written:
        os.dup2(nothing.fileno(), 0)
        os.dup2(written.fileno(), 1)
        os.dup2(written.fileno(), 2)
        code = int(pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", "-p", "no:cov", test]))
        sys.stdout.flush()
        return code


if __name__ == "__main__":
    main()
