"""CPU time of processes, as the kernel accounts it."""

import os
from collections.abc import Mapping
from pathlib import Path

_TICK = 1 / os.sysconf("SC_CLK_TCK")


def cpu_seconds(processes: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds so far of each named process with its children, running and gone."""
    children: dict[int, list[int]] = {}
    spent: dict[int, tuple[float, float]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        pid = int(entry.name)
        children.setdefault(int(fields[1]), []).append(pid)
        spent[pid] = (int(fields[11]) + int(fields[12])) * _TICK, (int(fields[13]) + int(fields[14])) * _TICK

    def total(pid: int) -> float:
        own, reaped = spent[pid]
        return own + reaped + sum(total(child) for child in children.get(pid, ()))

    return {name: total(pid) for name, pid in processes.items()}
