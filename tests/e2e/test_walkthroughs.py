"""What README and docs tell people to type is typed, and says what they say."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.support.product import ROOT, Product

LOCAL = "http://127.0.0.1:8080"
PATIENCE = 120.0
_HEADING, _BLOCK = re.compile(r"^## (.+)$", re.MULTILINE), re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def _typed(document: Path, running: Product, folder: Path, only: str = "") -> dict[str, str]:
    """Types the shell blocks of a document into one bash; what came on the screen, by heading."""
    _, *parts = _HEADING.split(document.read_text())
    sections = {heading: _BLOCK.findall(text) for heading, text in zip(parts[::2], parts[1::2], strict=True)}
    script = "\n".join(
        line
        for heading, blocks in sections.items()
        if blocks and only in heading
        for line in (f"printf '\\n## %s\\n' {_quoted(heading)}", *blocks)
    )
    script = script.replace(LOCAL, running.url).replace("var/demo.json", str(running.var / "demo.json"))
    done = subprocess.run(
        ["bash", "-eu", "-c", script],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout
    _, *screens = _HEADING.split(done.stdout)
    return dict(zip(screens[::2], screens[1::2], strict=True))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "'\\''") + "'"


def _has(screen: str, *expected: str) -> None:
    """Each of them is on the screen, in this order."""
    at = 0
    for each in expected:
        found = screen.find(each, at)
        assert found >= 0, f"{each!r} is not there:\n{screen}"
        at = found + len(each)


@pytest.fixture(scope="module")
def week(running: Product, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The screens of a studio's week, by the first word of their heading."""
    screens = _typed(ROOT / "docs" / "a-studios-week.md", running, tmp_path_factory.mktemp("week"))
    return {re.split(r"\W", heading, maxsplit=1)[0]: screen for heading, screen in screens.items()}


def test_a_booking_by_curl(running: Product, tmp_path: Path) -> None:
    screen, purchase = _typed(ROOT / "README.md", running, tmp_path, only="by curl").values()
    credits = re.findall(r'"creditsLeft":(\d+)', screen)
    _has(screen, '"state":"CONFIRMED"', '"messages":', '"state":"CANCELLED_')
    assert "error" not in screen
    assert int(credits[1]) == int(credits[0]) + 1
    _has(purchase, '"totalMinor":"8100"', '"state":"FULFILLED"', f'"creditsLeft":{int(credits[1]) + 5}')
    assert "error" not in purchase


def test_a_studio_is_founded_and_furnished(week: dict[str, str]) -> None:
    _has(week["Monday"], '"displayName":"Olga Osei"', '"studios":[{"name":"studios/', '"logo":"', "the logo is up")


def test_an_instructor_comes_by_invitation(week: dict[str, str]) -> None:
    _has(week["Tuesday"], '"state":"PENDING"', "/accept-invitation#token=", '"role":"ROLE_INSTRUCTOR"')


def test_a_week_is_planned_and_a_clash_refused(week: dict[str, str]) -> None:
    assert week["Wednesday"].count("T10:00 Europe/Berlin") == 7
    # Metadata comes in no order.
    for each in ("SESSION_OVERLAP", '"conflict":"room"', '"class_session":"studios/'):
        _has(week["Wednesday"], each)


def test_clients_get_packs(week: dict[str, str]) -> None:
    assert len(re.findall(r"^studios/\S+/clients/\S+ 10$", week["Thursday"], re.MULTILINE)) == 2


def test_a_class_fills_before_the_watcher_and_the_mail_comes(week: dict[str, str]) -> None:
    screen = week["Friday"]
    _has(screen, '"spot":"Window"', '"spot":"Middle"', "ALREADY_BOOKED", '"freePlaces":3', '"freePlaces":1')
    _has(screen, "your place is confirmed", "Window", "[('Mara Lindt', 'Window'), ('Jo Weber', 'Middle')]")


def test_cancelling_in_time_gives_the_credit_back_and_the_policy_changes(week: dict[str, str]) -> None:
    _has(
        week["Saturday"],
        "CANCELLED_EARLY True",
        "credits left: 10",
        '"version":"2"',
        '"cancellationWindowMinutes":1440',
    )


def test_a_class_moves_falls_and_stands_again(week: dict[str, str]) -> None:
    _has(week["Sunday"], "T18:00", "CANCELLED The heating is broken", '"creditsLeft":10', "SCHEDULED", "OPEN", "304")


def test_a_program_reads_with_its_key(week: dict[str, str]) -> None:
    _has(week["A"], "('Jo Weber', 9)", "('Mara Lindt', 10)")
