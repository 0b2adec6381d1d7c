"""Rules of the house that no linter knows. Each has been seen failing: see `test_each_rule_can_fail`."""

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ("services", "gateway")


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for folder in SHIPPED:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))


def _calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def reads_time(path: str, tree: ast.Module) -> bool:
    """Business time comes from the Clock, real time from chassis.clock: a test can hold one, never a stray read."""
    stray = {"datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time", "time.time_ns"}
    allowed = path in {"services/chassis/clock.py", "services/chassis/ids.py"}
    return not allowed and bool(stray & set(_calls(tree)))


def commits(path: str, tree: ast.Module) -> bool:
    """The unit of work commits; a commit elsewhere splits what belongs together."""
    allowed = path.startswith(("services/chassis/db/", "services/chassis/messaging/", "services/chassis/jobs/"))
    return not allowed and any(call.endswith(".commit") for call in _calls(tree))


def reads_environment(path: str, tree: ast.Module) -> bool:
    """Settings are read in one place and fail together."""
    allowed = path in {
        "services/chassis/config.py",
        "services/chassis/db/urls.py",
        "services/chassis/migrate.py",
        "services/chassis/crashpoints.py",
    } or path.endswith("/settings.py")
    reads = any(isinstance(node, ast.Attribute) and ast.unparse(node) == "os.environ" for node in ast.walk(tree))
    return not allowed and (reads or "os.getenv" in set(_calls(tree)))


def sends_tasks(path: str, tree: ast.Module) -> bool:
    """Work leaves a transaction as a row; only the chassis talks to the broker."""
    allowed = path.startswith(("services/chassis/messaging/", "services/chassis/jobs/"))
    return not allowed and any(call.endswith((".delay", ".apply_async", ".send_task")) for call in _calls(tree))


def shadows_a_library(path: str, tree: ast.Module) -> bool:
    """A folder or module with the name of a library hides it from whoever runs beside it."""
    names = {"platform", "grpc", "celery", "stripe", "email", "queue", "types"}
    return bool(names & {part.removesuffix(".py") for part in Path(path).parts})


Rule = Callable[[str, ast.Module], bool]
RULES: list[tuple[Rule, str, str]] = [
    (reads_time, "services/booking/bookings.py", "from datetime import datetime\nnow = datetime.now(UTC)"),
    (commits, "services/booking/bookings.py", "await session.commit()"),
    (reads_environment, "services/booking/bookings.py", "import os\nurl = os.environ['X']"),
    (sends_tasks, "services/booking/bookings.py", "remind.delay(1)"),
    (shadows_a_library, "services/notify/email.py", ""),
]


@pytest.mark.parametrize(("rule", "path", "code"), RULES, ids=[rule[0].__name__ for rule in RULES])
def test_the_house_keeps_the_rule(rule: Rule, path: str, code: str) -> None:
    broken = [module for module, tree in _modules() if rule(module, tree)]
    assert broken == [], rule.__doc__


@pytest.mark.parametrize(("rule", "path", "code"), RULES, ids=[rule[0].__name__ for rule in RULES])
def test_each_rule_can_fail(rule: Rule, path: str, code: str) -> None:
    assert rule(path, ast.parse(code))
