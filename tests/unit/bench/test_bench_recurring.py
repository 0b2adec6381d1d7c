"""The bench of generation on two studios: everything adds up, and it reports what it promises."""

import json
from pathlib import Path

from bench import recurring


def test_it_generates_all_and_reports_both_figures(tmp_path: Path) -> None:
    recurring.run(tmp_path, studios=2, rounds=1)
    figures = json.loads((tmp_path / "recurring.json").read_text())
    assert [(each["name"], each["against"]) for each in figures] == [
        ("recurring_generate", "unchecked_insert"),
        ("recurring_rerun", "unchecked_insert"),
    ]
    assert all(each["ratio_median"] > 0 for each in figures)
