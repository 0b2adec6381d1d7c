"""Words of a mail from its templates: `<kind>.txt`, whose first line is the subject, and `<kind>.html`.

What people typed is tidied first: one line, no control characters, never endless. So no value can start a new header,
a new paragraph or another direction of writing; in HTML it is escaped as well.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from services.notify.models import Kind

# Characters of a name that a mail shows, and of its subject line.
MAX_NAME = 120
MAX_SUBJECT = 150
# Controls, separators of lines, unpaired surrogates, and what switches the direction of writing.
_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]")

_environment = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"),
    autoescape=select_autoescape(["html"]),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)


@dataclass(frozen=True)
class Words:
    """A mail's words; the same values give the same words, so that a second attempt repeats the first to the letter."""

    subject: str
    text: str
    html: str


def render(kind: Kind, values: Mapping[str, str]) -> Words:
    """The words of one mail. A value that a template wants and nobody gave is an error."""
    tidied = {name: value if name == "link" else tidy(value) for name, value in values.items()}
    first, _, text = _environment.get_template(f"{kind}.txt").render(tidied).partition("\n")
    subject = tidy(first, MAX_SUBJECT)
    html = _environment.get_template(f"{kind}.html").render(tidied, subject=subject)
    return Words(subject, text.lstrip("\n"), html)


def render_sms(kind: Kind, values: Mapping[str, str]) -> str:
    """A text message's words."""
    tidied = {name: value if name == "link" else tidy(value) for name, value in values.items()}
    return _environment.get_template(f"{kind}.sms").render(tidied).strip()


def tidy(value: str, limit: int = MAX_NAME) -> str:
    """The value on one line of at most `limit` characters, with an ellipsis where it was cut."""
    line = " ".join(_UNWANTED.sub(" ", value[: 10 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def short_time(instant: datetime, zone: str) -> str:
    """`Mon 23 Nov 10:00`, as short as a text message wants it."""
    local = instant.astimezone(ZoneInfo(zone))
    return f"{_DAYS[local.weekday()][:3]} {local.day} {_MONTHS[local.month - 1][:3]} {local:%H:%M}"


def day_and_time(instant: datetime, zone: str) -> str:
    """`Monday, 23 November 2026, 10:00` as a clock in that zone shows it."""
    local = instant.astimezone(ZoneInfo(zone))
    return f"{_DAYS[local.weekday()]}, {local.day} {_MONTHS[local.month - 1]} {local.year}, {local:%H:%M}"


# strftime's names depend on the locale of the process.
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
