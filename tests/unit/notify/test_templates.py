"""Words of mails: what people typed cannot break out of them."""

from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from jinja2 import UndefinedError

from services.notify.models import Kind
from services.notify.templates import MAX_NAME, MAX_SUBJECT, day_and_time, render, tidy

CONFIRMATION = {
    "name": "Ann",
    "dependant": "Kim",
    "class_type": "Reformer Flow",
    "instructor": "Jana Vogt",
    "room": "Reformer Room",
    "location": "Kreuzberg",
    "spot": "Reformer 3",
    "start": "Monday, 23 November 2026, 10:00",
    "time_zone": "Europe/Berlin",
    "free_cancel_until": "Sunday, 22 November 2026, 22:00",
    "link": "http://127.0.0.1:8080",
}
VALUES = {
    Kind.BOOKING_CONFIRMATION: CONFIRMATION,
    Kind.INVITATION: {"name": "", "role": "front desk", "link": "http://x/#token=1", "expires": "Monday"},
    Kind.PASSWORD_RESET: {"name": "Ann", "link": "http://x/#token=1", "expires": "Monday"},
}


class Tags(HTMLParser):
    """Names of the tags of a document, and its text."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.names.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("kind", VALUES)
def test_every_kind_has_words_and_wants_every_value(kind: Kind) -> None:
    words = render(kind, VALUES[kind])
    assert words.subject
    assert VALUES[kind]["link"] in words.text
    assert VALUES[kind]["link"] in words.html
    for missing in VALUES[kind]:
        with pytest.raises(UndefinedError):
            render(kind, {name: value for name, value in VALUES[kind].items() if name != missing})


def test_a_confirmation_says_what_where_when_and_until_when() -> None:
    words = render(Kind.BOOKING_CONFIRMATION, CONFIRMATION)
    assert words.subject == "You are booked: Reformer Flow, Monday, 23 November 2026, 10:00"
    for value in CONFIRMATION.values():
        assert value in words.text
        assert value in Tags(words.html).text or value == CONFIRMATION["link"]
    late = render(Kind.BOOKING_CONFIRMATION, {**CONFIRMATION, "free_cancel_until": "", "spot": "", "name": ""})
    assert "the credit is used" in late.text
    assert "Spot" not in late.text + late.html
    assert late.text.startswith("Hello,\n")


@pytest.mark.parametrize("field", [name for name in CONFIRMATION if name != "link"])
def test_no_value_starts_a_header_a_line_or_a_tag(field: str) -> None:
    plain = render(Kind.BOOKING_CONFIRMATION, {**CONFIRMATION, field: "plain"})
    evil = "x\r\nBcc: all@example.test\n\n<script>alert(1)</script>\u2028\u202eolleh\x00\x85y"
    words = render(Kind.BOOKING_CONFIRMATION, {**CONFIRMATION, field: evil})
    assert len(words.subject.splitlines()) == 1
    assert len(words.text.splitlines()) == len(plain.text.splitlines())
    assert Tags(words.html).names == Tags(plain.html).names
    for unwanted in "\r\x00\x85\u2028\u202e":
        assert unwanted not in words.subject + words.text + words.html


def test_endless_names_are_cut() -> None:
    words = render(Kind.BOOKING_CONFIRMATION, {**CONFIRMATION, "name": "a" * 100_000, "class_type": "b" * 100_000})
    assert len(words.subject) <= MAX_SUBJECT
    assert len(words.text) < 2000
    assert "a" * (MAX_NAME - 1) + "…" in words.text


def test_tidy_keeps_what_names_are_made_of() -> None:
    for name in ("Zoë Müller-Ørsted", "O'Neil", "मीरा", "علی\u200cرضا", "👩\u200d👧 family", "李雷"):
        assert tidy(name) == name
    assert tidy("  a \t b\n") == "a b"
    assert tidy("abcdef", 4) == "abc…"


def test_times_are_told_on_the_clocks_of_the_place() -> None:
    instant = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert day_and_time(instant, "Europe/Berlin") == "Sunday, 29 March 2026, 03:00"
    assert day_and_time(instant, "America/New_York") == "Saturday, 28 March 2026, 21:00"
    assert day_and_time(instant, "Asia/Kathmandu") == "Sunday, 29 March 2026, 06:45"
