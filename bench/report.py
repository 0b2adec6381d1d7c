"""Ratios inside each round, their median and spread; a table for people, a file for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from bench.loads import Round


@dataclass(frozen=True)
class Figure:
    """One yardstick. Every benchmark writes a list of these."""

    name: str
    # What the ratio is to.
    against: str
    ratio_median: float
    ratio_min: float
    ratio_max: float
    # Microseconds of CPU for one operation, of all processes but the load's generator.
    cpu_us_per_op: float


def figure(name: str, against: str, ratios: Sequence[float], cpu_us: Sequence[float]) -> Figure:
    """Of the ratios and costs of all rounds."""
    return Figure(
        name,
        against,
        round(median(ratios), 3),
        round(min(ratios), 3),
        round(max(ratios), 3),
        round(median(cpu_us), 1),
    )


def write(file: Path, figures: Sequence[Figure]) -> None:
    """Writes `var/bench/<benchmark>.json`."""
    file.write_text(json.dumps([asdict(figure) for figure in figures], indent=2) + "\n", encoding="utf-8")


def loads_table(rounds: Mapping[str, Sequence[Round]]) -> list[str]:
    """A line for each load: its rate, and where the CPU time of one booking went. Medians."""
    processes = list(dict.fromkeys(name for runs in rounds.values() for run in runs for name in run.cpu_us))
    lines = [["load", "per s", *(f"{name} us" for name in processes), "served us"]]
    for load, runs in rounds.items():
        costs = [f"{median(run.cpu_us[name] for run in runs):.0f}" for name in processes]
        rate = f"{median(run.made.rate for run in runs):.0f}"
        lines.append([load, rate, *costs, f"{median(run.served_us for run in runs):.0f}"])
    return _aligned(lines)


def figures_table(figures: Sequence[Figure], goals: Mapping[str, str]) -> list[str]:
    """A line for each figure, beside its goal."""
    lines = [["figure", "against", "ratio", "spread", "goal", "CPU us/op"]]
    for one in figures:
        spread = f"{one.ratio_min:.2f}-{one.ratio_max:.2f}"
        goal = goals[one.name]
        lines.append([one.name, one.against, f"{one.ratio_median:.2f}", spread, goal, f"{one.cpu_us_per_op:.0f}"])
    return _aligned(lines)


def _aligned(lines: list[list[str]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines]
