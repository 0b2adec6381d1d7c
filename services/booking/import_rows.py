"""Rows of a file as what they mean: a client, a package, a booking; or why they cannot be. No I/O."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from uuid import UUID
from zoneinfo import ZoneInfo

from services.booking import import_dates, phones
from services.booking.import_dates import DateError
from services.booking.import_files import Row
from services.chassis.errors import InvalidArgument

_BORN_AFTER = date(1900, 1, 1)
_EMAIL = re.compile(r"^[^@\s,;<>\"]+@[^@\s,;<>\"]+\.[^@\s.,;<>\"]+$")
_LONGEST = {"body": 4000, "class_types": 2000, "email": 254, "phone": 40, "emergency_contact_phone": 40, "language": 35}
_LONGEST_OTHER = 120
_MOST_CREDITS = 1000
_NOTE_KINDS = {
    **dict.fromkeys(("", "general", "note", "other", "allgemein", "notiz"), "GENERAL"),
    **dict.fromkeys(("health", "medical", "injury", "gesundheit", "medizinisch", "verletzung"), "HEALTH"),
}

WORDS = {
    "ROW_TOO_LONG": "the row is longer than 64 KiB, or a quotation mark is not closed",
    "MALFORMED_ROW": "the row is no CSV: a quotation mark is in the wrong place",
    "NUL_IN_ROW": "the row has a NUL character",
    "COLUMN_COUNT": "the row has more columns than the header",
    "VALUE_REQUIRED": "the value is missing",
    "VALUE_TOO_LONG": "the value is too long",
    "EMAIL_INVALID": "the value is no e-mail address",
    "PHONE_INVALID": "the value is no number with a country code, like +49 30 123456",
    "DATE_INVALID": "there is no such date or time, or it is written in an unknown way",
    "DATE_AMBIGUOUS": "day and month could be either way round; give the date order",
    "BIRTH_DATE_INVALID": "the value is no date on which a client was born",
    "NUMBER_INVALID": "the value is no number of credits from 0 to 1000",
    "NOTE_KIND_UNKNOWN": "the value is neither general nor health",
    "CLASS_TYPE_UNKNOWN": "no class of this type was ever planned",
    "IN_THE_PAST": "it is over",
    "CREDITS_EXCEED_GRANTED": "more credits are left than were granted",
    "DUPLICATE_IN_FILE": "an earlier row of the file is the same",
    "EMAIL_SHARED": "another client has this address; imported without it",
    "CLIENT_UNKNOWN": "no client has this id or address",
    "CLIENT_ARCHIVED": "the client is archived",
    "CLASS_SESSION_UNKNOWN": "there is no such class at that time",
    "CLASS_SESSION_AMBIGUOUS": "several classes fit; give the location or the id",
}


@dataclass(frozen=True)
class Reading:
    """How a file is read."""

    header: list[str]
    # Field → name of its column.
    columns: Mapping[str, str]
    date_order: str
    time_zone: ZoneInfo
    now: datetime

    @cached_property
    def places(self) -> dict[str, int]:
        """Field → number of its column."""
        return {name: self.header.index(column) for name, column in self.columns.items()}


class RefusalError(Exception):
    """Why a row is not imported. `field` is what is at fault."""

    def __init__(self, reason: str, field: str = "") -> None:
        super().__init__(reason)
        self.reason, self.field = reason, field


@dataclass(frozen=True, kw_only=True)
class ClientRow:
    """One person. Only what the file has columns for."""

    # The file's, or a digest of the row when it has none.
    external_id: str
    values: dict[str, object]

    @property
    def email(self) -> str:
        return str(self.values.get("email") or "").lower()

    @property
    def display_name(self) -> str:
        return str(self.values["display_name"])


@dataclass(frozen=True, kw_only=True)
class PackageRow:
    """One package of one client."""

    external_id: str
    client_external_id: str
    client_email: str
    display_name: str
    credits_left: int
    credits_granted: int
    expire_time: datetime | None
    # Lower-case names of the class types it pays for; none is all.
    class_types: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class NoteRow:
    """What was written about one client."""

    external_id: str
    client_external_id: str
    client_email: str
    # As the proto's ClientNote.Kind.
    kind: str
    body: str


@dataclass(frozen=True, kw_only=True)
class BookingRow:
    """One place in one class."""

    external_id: str
    client_external_id: str
    client_email: str
    class_session_id: UUID | None = None
    # Local, where the class is.
    start: datetime | None = field(default=None)
    class_type: str = ""
    location: str = ""


def parse_client(row: Row, reading: Reading) -> ClientRow:
    """Raises RefusalError."""
    texts = _texts(row, reading)
    name = texts.get("display_name") or f"{texts.get('first_name', '')} {texts.get('last_name', '')}".strip()
    if not name:
        raise RefusalError("VALUE_REQUIRED", next(iter(texts.keys() & {"display_name", "first_name", "last_name"})))
    values: dict[str, object] = {"display_name": _short(name, "display_name")}
    for name in ("language", "emergency_contact_name"):
        if name in texts:
            values[name] = texts[name]
    for name in ("phone", "emergency_contact_phone"):
        if name in texts:
            values[name] = _phone(texts[name], name)
    if "email" in texts:
        values["email"] = _email(texts["email"], "email") or None
    if "birth_date" in texts:
        values["birth_date"] = born = _optional_date(texts["birth_date"], "birth_date", reading)
        if born is not None and not _BORN_AFTER <= born <= reading.now.date():
            raise RefusalError("BIRTH_DATE_INVALID", "birth_date")
    return ClientRow(external_id=_external_id(texts, *sorted(f"{k}={v}" for k, v in values.items())), values=values)


def parse_package(row: Row, reading: Reading) -> PackageRow:
    """Raises RefusalError."""
    texts = _texts(row, reading)
    _require(texts, "display_name", "credits_left")
    left = _credits(texts["credits_left"], "credits_left")
    granted = _credits(texts["credits_granted"], "credits_granted") if texts.get("credits_granted") else max(left, 1)
    if left > granted:
        raise RefusalError("CREDITS_EXCEED_GRANTED", "credits_left")
    last_day = _optional_date(texts.get("expire_date", ""), "expire_date", reading)
    expires = _end_of(last_day, reading.time_zone) if last_day else None
    if expires is not None and expires <= reading.now:
        raise RefusalError("IN_THE_PAST", "expire_date")
    client, email = _client(texts)
    types = tuple(name.strip().lower() for name in re.split(r"[;|\n]", texts.get("class_types", "")) if name.strip())
    return PackageRow(
        external_id=_external_id(texts, client, email, texts["display_name"], left, granted, expires, *types),
        client_external_id=client,
        client_email=email,
        display_name=_short(texts["display_name"], "display_name"),
        credits_left=left,
        credits_granted=max(granted, 1),
        expire_time=expires,
        class_types=types,
    )


def parse_note(row: Row, reading: Reading) -> NoteRow:
    """Raises RefusalError."""
    texts = _texts(row, reading)
    _require(texts, "body")
    kind = _NOTE_KINDS.get(texts.get("note_kind", "").lower())
    if kind is None:
        raise RefusalError("NOTE_KIND_UNKNOWN", "note_kind")
    client, email = _client(texts)
    return NoteRow(
        external_id=_external_id(texts, client, email, kind, texts["body"]),
        client_external_id=client,
        client_email=email,
        kind=kind,
        body=texts["body"],
    )


def parse_booking(row: Row, reading: Reading) -> BookingRow:
    """Raises RefusalError."""
    texts = _texts(row, reading)
    client, email = _client(texts)
    if texts.get("class_session_id"):
        try:
            session = UUID(texts["class_session_id"].rpartition("/")[2])
        except ValueError:
            raise RefusalError("CLASS_SESSION_UNKNOWN", "class_session_id") from None
        return BookingRow(
            external_id=_external_id(texts, client, email, session),
            client_external_id=client,
            client_email=email,
            class_session_id=session,
        )
    _require(texts, "start_date", "class_type")
    start = _start(texts, reading)
    kind, location = texts["class_type"].lower(), texts.get("location", "").lower()
    return BookingRow(
        external_id=_external_id(texts, client, email, start, kind, location),
        client_external_id=client,
        client_email=email,
        start=start,
        class_type=kind,
        location=location,
    )


def _texts(row: Row, reading: Reading) -> dict[str, str]:
    """The row's values by field. Missing columns at the end of a row are empty."""
    if row.refusal:
        raise RefusalError(row.refusal)
    if any(row.values[len(reading.header) :]):
        raise RefusalError("COLUMN_COUNT")
    count = len(row.values)
    texts = {name: row.values[place] if place < count else "" for name, place in reading.places.items()}
    for name, text in texts.items():
        if len(text) > _LONGEST.get(name, _LONGEST_OTHER):
            raise RefusalError("VALUE_TOO_LONG", name)
    return texts


def _require(texts: Mapping[str, str], *names: str) -> None:
    for name in names:
        if not texts.get(name):
            raise RefusalError("VALUE_REQUIRED", name)


def _client(texts: Mapping[str, str]) -> tuple[str, str]:
    """The client's id in the other system and its address; one of them is there."""
    external, email = texts.get("client_external_id", ""), _email(texts.get("client_email", ""), "client_email").lower()
    if not external and not email:
        raise RefusalError("VALUE_REQUIRED", "client_external_id" if "client_external_id" in texts else "client_email")
    return external, email


def _external_id(texts: Mapping[str, str], *parts: object) -> str:
    """What the row is known by when it comes again."""
    given = texts.get("external_id", "")
    return given or "row:" + hashlib.sha256(repr([str(part) for part in parts]).encode()).hexdigest()[:40]


def _short(text: str, name: str) -> str:
    if len(text) > _LONGEST_OTHER:
        raise RefusalError("VALUE_TOO_LONG", name)
    return text


def _email(text: str, name: str) -> str:
    if text and not _EMAIL.match(text):
        raise RefusalError("EMAIL_INVALID", name)
    return text


def _phone(text: str, name: str) -> str | None:
    try:
        return phones.normalised(text, name)
    except InvalidArgument:
        raise RefusalError("PHONE_INVALID", name) from None


def _credits(text: str, name: str) -> int:
    # Spreadsheets write 7.00 for 7.
    match = re.fullmatch(r"(\d{1,4})(?:[.,]0{1,2})?", text)
    if match is None or int(match[1]) > _MOST_CREDITS:
        raise RefusalError("NUMBER_INVALID", name)
    return int(match[1])


def _optional_date(text: str, name: str, reading: Reading) -> date | None:
    try:
        return import_dates.parse_date(text, reading.date_order) if text else None
    except DateError as error:
        raise RefusalError(str(error), name) from None


def _start(texts: Mapping[str, str], reading: Reading) -> datetime:
    """Local start of a class: of two columns, or of one that has both."""
    day, separate = texts["start_date"], texts.get("start_time", "")
    try:
        both = re.split(r"(?<=\d)[T ,]+(?=\d{1,2}[:.]\d{2})", day, maxsplit=1)
        if not separate and len(both) < 2:
            raise RefusalError("VALUE_REQUIRED", "start_time" if "start_time" in texts else "start_date")
        at = import_dates.parse_time(separate or both[1])
        return datetime.combine(import_dates.parse_date(both[0], reading.date_order), at)
    except DateError as error:
        raise RefusalError(str(error), "start_date") from None


def _end_of(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, datetime.min.time(), zone) + timedelta(days=1)
