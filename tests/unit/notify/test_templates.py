"""Words of mails: what people typed cannot break out of them."""

from contextlib import nullcontext
from datetime import UTC, datetime
from html.parser import HTMLParser

import pytest
from jinja2 import Environment, UndefinedError, meta

from services.notify.local_words import LANGUAGES, day_and_time, every, money, phrase, short_time
from services.notify.models import Channel, Kind
from services.notify.sms_segments import Encoding, measure
from services.notify.template_checks import check
from services.notify.template_variables import SHORT_KINDS, channels, sample
from services.notify.templates import MAX_NAME, MAX_SUBJECT, Frame, house, render, render_push, render_sms, tidy

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


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", Kind)
def test_every_kind_has_sound_words_and_wants_every_value_that_it_says(kind: Kind, language: str) -> None:
    values = sample(kind, language)
    words = render(kind, values, language=language)
    assert words.subject
    assert values["link"] in words.text
    assert values["link"] in words.html
    for channel in channels(kind):
        source = house(kind, channel, language)
        check(kind, channel, source, language)
        tree = Environment(autoescape=True).parse(source.subject + source.html + source.text)
        said = meta.find_undeclared_variables(tree)
        for missing in values:
            given = {name: value for name, value in values.items() if name != missing}
            with pytest.raises(UndefinedError) if missing in said else nullcontext():
                if channel == Channel.SMS:
                    render_sms(kind, given, language=language)
                elif channel == Channel.PUSH:
                    render_push(kind, given, language=language)
                else:
                    render(kind, given, language=language)


@pytest.mark.parametrize("kind", SHORT_KINDS)
def test_a_text_message_of_the_house_is_one_segment(kind: Kind) -> None:
    for language in LANGUAGES:
        text = render_sms(kind, sample(kind, language), language=language, studio="Kiez Pilates")
        assert text.startswith("Kiez Pilates: ")
        assert (measure(text).encoding, measure(text).segments) == (Encoding.GSM_7, 1)


def test_a_mail_bears_the_studio_and_the_way_out_of_it() -> None:
    frame = Frame(
        "Kiez <Pilates>", "Oranienstr. 1, 10999 Berlin", "https://x.test/preferences#token=1", "https://x.test/u/1"
    )
    words = render(Kind.REMINDER, sample(Kind.REMINDER, "de"), language="de-AT", frame=frame)
    assert 'lang="de"' in words.html
    for said in ("Kiez &lt;Pilates&gt;", frame.postal_address, frame.preferences_link, frame.unsubscribe_link):
        assert said in words.html
    for said in ("Oranienstr. 1", frame.preferences_link, frame.unsubscribe_link):
        assert said in words.text
    bare = render(Kind.REMINDER, sample(Kind.REMINDER, "en"))
    assert "Unsubscribe" not in bare.html + bare.text


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


def test_dates_and_money_are_written_as_the_language_does() -> None:
    instant = datetime(2026, 3, 29, 1, 0, tzinfo=UTC)
    assert day_and_time(instant, "Europe/Berlin", "de-CH") == "Sonntag, 29. März 2026, 03:00"
    assert day_and_time(instant, "Europe/Berlin", "tlh") == "Sunday, 29 March 2026, 03:00"
    assert short_time(instant, "Europe/Berlin", "de") == "So. 29. März, 03:00"
    assert money(1250, "EUR") == "€12.50"
    assert money(1250, "EUR", "de") == "12,50\u00a0€"
    assert money(1250, "JPY") == "¥1,250"


def test_intervals_are_said_as_the_language_does() -> None:
    assert [every(count, "month") for count in (1, 2)] == ["every month", "every 2 months"]
    assert [every(count, "week", "de-AT") for count in (1, 2)] == ["jede Woche", "alle 2 Wochen"]
    assert [every(1, "year", language) for language in LANGUAGES] == ["every year", "jedes Jahr"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_value_of_an_enum_that_a_message_tells_has_its_words(language: str) -> None:
    for key in ("time", "instructor", "room", "restored", "late_cancel", "no_show", "owner", "manager", "front_desk"):
        assert phrase(key, language)
