"""The bench's own arithmetic: what it books is bookable, what it reports is what was measured."""

import json
import os
import subprocess
import sys
from pathlib import Path

from bench import plan, report, usage
from bench.loads import Made, Round


def test_no_number_books_what_another_has_booked() -> None:
    numbers = [*range(40_000), *range(1_000_000, 1_020_000)]
    assert len({(wanted.class_session, wanted.client) for wanted in map(plan.wanted, numbers)}) == len(numbers)


def test_all_numbers_together_give_every_client_a_place_in_every_session_of_the_studio() -> None:
    one_studio = [plan.wanted(turn * plan.STUDIOS + 7) for turn in range(plan.SESSIONS * plan.CLIENTS)]
    assert len({wanted.class_session for wanted in one_studio}) == plan.SESSIONS
    assert len({wanted.client for wanted in one_studio}) == plan.CLIENTS
    assert len({(wanted.class_session, wanted.client) for wanted in one_studio}) == plan.SESSIONS * plan.CLIENTS


def test_a_figure_is_the_median_and_the_spread_of_its_rounds(tmp_path: Path) -> None:
    figure = report.figure("rest", "function", [0.2, 0.5, 0.3], [3000, 1000, 2000])
    report.write(tmp_path / "booking.json", [figure])
    assert json.loads((tmp_path / "booking.json").read_text()) == [
        {
            "name": "rest",
            "against": "function",
            "ratio_median": 0.3,
            "ratio_min": 0.2,
            "ratio_max": 0.5,
            "cpu_us_per_op": 2000,
        }
    ]


def test_the_generator_is_not_part_of_what_is_served() -> None:
    assert Round(Made(10, 5.0), {"postgres": 400, "gateway": 600, "generator": 50}).served_us == 1000


def test_cpu_time_of_a_process_counts_that_of_its_children() -> None:
    before = usage.cpu_seconds({"us": os.getpid()})["us"]
    subprocess.run([sys.executable, "-c", "sum(range(5_000_000))"], check=True)
    assert usage.cpu_seconds({"us": os.getpid()})["us"] - before > 0.05
