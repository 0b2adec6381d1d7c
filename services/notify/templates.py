"""Words of a message from its template: the studio's own, or the house's in `templates/<language>/<kind>`.

A mail's `.txt` begins with the line of its subject; its `.html` is what stands inside `layout.html`; a text message is
`.sms`; a push message `.push`, which begins with the line of its title. What people typed is tidied first: one line, no
control characters, never endless. So no value can start a new header, a new paragraph or another direction of writing;
in HTML it is escaped as well.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.notify import mail_parts, sms_segments
from services.notify.local_words import spoken
from services.notify.models import Channel, Kind
from services.notify.template_variables import LISTS

# Characters of a name that a mail shows, and of its subject line.
MAX_NAME = 120
MAX_SUBJECT = 150
# Of what a push message says.
MAX_PUSH = 500
# Of a value that is a list.
MAX_LINE, MAX_LINES = 500, 60
# Controls, separators of lines, unpaired surrogates, and what switches the direction of writing.
_UNWANTED = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_FOLDER = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Source:
    """A template as it is written. `subject` is of mails and the title of a push message, `html` of mails alone."""

    subject: str
    html: str
    text: str


@dataclass(frozen=True)
class Frame:
    """What stands around a mail's words. What is empty is left out."""

    studio: str = ""
    postal_address: str = ""
    preferences_link: str = ""
    unsubscribe_link: str = ""


@dataclass(frozen=True)
class Words:
    """A mail's words; the same values give the same words, so that a second attempt repeats the first to the letter."""

    subject: str
    text: str
    html: str


@cache
def house(kind: Kind, channel: Channel, language: str) -> Source:
    """The words that every studio begins with."""
    folder = _FOLDER / spoken(language)
    if channel == Channel.SMS:
        return Source("", "", (folder / f"{kind}.sms").read_text(encoding="utf-8").strip())
    if channel == Channel.PUSH:
        title, _, text = (folder / f"{kind}.push").read_text(encoding="utf-8").partition("\n")
        return Source(title, "", text.strip())
    subject, _, text = (folder / f"{kind}.txt").read_text(encoding="utf-8").partition("\n")
    return Source(subject, (folder / f"{kind}.html").read_text(encoding="utf-8"), text.strip("\n"))


def render(
    kind: Kind,
    values: Mapping[str, str],
    *,
    language: str = "en",
    source: Source | None = None,
    frame: Frame | None = None,
) -> Words:
    """The words of one mail. A value that a template wants and nobody gave is an error."""
    source, frame, language = source or house(kind, Channel.EMAIL, language), frame or Frame(), spoken(language)
    frame = replace(frame, studio=tidy(frame.studio), postal_address=tidy(frame.postal_address, 300))
    said = _tidied(values, frame.studio)
    subject = tidy(_compiled(source.subject, escape=False).render(said), MAX_SUBJECT)
    around = {"subject": subject, "kind": kind, "language": language, "frame": frame}
    reason = _reason(kind, language)
    text = _compiled(source.text, escape=False).render(said).strip()
    html = _compiled(source.html, escape=True).render(said)
    return Words(
        subject,
        _ours("layout.txt").render(text=text, reason=reason, **around).strip() + "\n",
        _ours("layout.html").render(content=html, reason=reason, **around),
    )


def render_fragment(values: Mapping[str, str], source: Source, studio: str = "") -> str:
    """What stands inside the layout."""
    return _compiled(source.html, escape=True).render(_tidied(values, studio))


def render_sms(
    kind: Kind, values: Mapping[str, str], *, language: str = "en", source: Source | None = None, studio: str = ""
) -> str:
    """The words of one SMS, on one line, typographic characters made plain where that spares a segment."""
    source = source or house(kind, Channel.SMS, language)
    said = _tidied(values, tidy(studio))
    return sms_segments.plain(" ".join(_compiled(source.text, escape=False).render(said).split()))


def render_push(
    kind: Kind, values: Mapping[str, str], *, language: str = "en", source: Source | None = None, studio: str = ""
) -> tuple[str, str]:
    """Title and text of one push message, each on one line and short enough for its 4 KiB; a tap opens the link."""
    source = source or house(kind, Channel.PUSH, language)
    said = _tidied(values, tidy(studio))
    title, text = (_compiled(each, escape=False).render(said) for each in (source.subject, source.text))
    return tidy(title, MAX_SUBJECT), tidy(text, MAX_PUSH)


def page_template(name: str) -> Template:
    """A page of our own for browsers."""
    return _ours(name)


def tidy(value: str, limit: int = MAX_NAME) -> str:
    """The value on one line of at most `limit` characters, with an ellipsis where it was cut."""
    line = " ".join(_UNWANTED.sub(" ", value[: 10 * limit]).split())
    return line if len(line) <= limit else line[: limit - 1].rstrip() + "…"


def _tidied(values: Mapping[str, str], studio: str) -> dict[str, str]:
    return {"studio": studio} | {name: _tidied_value(name, value) for name, value in values.items()}


def _tidied_value(name: str, value: str) -> str:
    if name in LISTS:
        return "\n".join(tidy(line, MAX_LINE) for line in value.split("\n")[:MAX_LINES])
    return value if name == "link" else tidy(value)


@cache
def _reason(kind: Kind, language: str) -> str:
    """Why the reader gets it."""
    return _ours(f"{language}/reason.txt").render(kind=kind).strip()


@cache
def _ours(name: str) -> Template:
    """What stands around the words, from its file."""
    return (_our_escaping if name.endswith(".html") else _our_plain).get_template(name)


@lru_cache(maxsize=1024)
def _compiled(source: str, *, escape: bool) -> Template:
    """Compiling takes a hundred times as long as writing a message."""
    return (_escaping if escape else _plain).from_string(source)


def _environment(kind: type[Environment], *, escape: bool) -> Environment:
    environment = kind(
        loader=FileSystemLoader(_FOLDER),
        auto_reload=False,
        autoescape=escape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.clear()
    environment.globals.update(mail_parts.PARTS)
    return environment


_escaping = _environment(ImmutableSandboxedEnvironment, escape=True)
_plain = _environment(ImmutableSandboxedEnvironment, escape=False)
# What stands around them no studio writes, and a sandbox costs.
_our_escaping = _environment(Environment, escape=True)
_our_plain = _environment(Environment, escape=False)
