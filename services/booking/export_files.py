"""The zip of an export, made while it is read: rows in, bytes out. No I/O."""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from uuid import UUID

from services.booking.export_tables import LEFT_OUT, TABLES

FORMAT = "powerhouse.booking/1"

_INTRODUCTION = """\
Everything that booking holds of the studio. Each table is here twice, as CSV (UTF-8, comma, first line the columns) and
as JSON (a list of objects). Times are UTC, ISO 8601; empty (CSV) or null (JSON) is unknown or none; lists are JSON in
CSV. Values are as they are stored: open CSV as text, since a name may begin with a sign that a spreadsheet computes.

manifest.json counts the rows and names the format. Not here, since other services hold it: locations, rooms, class
types, instructors and the timetable (scheduling), accounts and roles (identity), messages (notify).
"""


class ZipStream:
    """A zip whose bytes are taken away while it is written, so that it may be of any size."""

    def __init__(self) -> None:
        self._written = bytearray()
        self._zip = zipfile.ZipFile(_Sink(self._written), "w", zipfile.ZIP_DEFLATED, compresslevel=6)
        self._entry: zipfile.ZipExtFile | io.BufferedIOBase | None = None

    def open(self, name: str) -> None:
        """Ends the file before and begins the next one."""
        self._end()
        self._entry = self._zip.open(name, "w", force_zip64=True)  # type: ignore[assignment]  # of IO[bytes]

    def write(self, data: bytes) -> bytes:
        """Adds to the file; returns what of the zip is ready."""
        assert self._entry is not None
        self._entry.write(data)
        return self.take()

    def finish(self) -> bytes:
        """The end of the zip."""
        self._end()
        self._zip.close()
        return self.take()

    def take(self) -> bytes:
        """What was not taken yet."""
        taken = bytes(self._written)
        self._written.clear()
        return taken

    def _end(self) -> None:
        if self._entry is not None:
            self._entry.close()
            self._entry = None


class _Sink(io.RawIOBase):
    """Where nothing can be read or gone back to."""

    def __init__(self, written: bytearray) -> None:
        self._written = written

    def writable(self) -> bool:
        return True

    def write(self, data: bytes | memoryview) -> int:  # type: ignore[override]  # what zipfile gives
        self._written += data
        return len(data)


Rows = Iterable[Mapping[str, object]]
# Rows as bytes; whether they are the table's first ones.
Format = Callable[[str, Rows, bool], bytes]


def to_csv(table: str, rows: Rows, first: bool) -> bytes:
    columns = list(TABLES[table].columns)
    text = io.StringIO()
    writer = csv.writer(text)
    if first:
        writer.writerow(columns)
    writer.writerows([_cell(row[column]) for column in columns] for row in rows)
    return text.getvalue().encode()


def to_json(table: str, rows: Rows, first: bool) -> bytes:
    columns = list(TABLES[table].columns)
    lines = [json.dumps({name: row[name] for name in columns}, default=_plain, ensure_ascii=False) for row in rows]
    text = ",\n".join(lines)
    return (f"[\n{text}" if first else f",\n{text}" if lines else "").encode()


# File name's end → how rows are written, and what ends the file.
FORMATS: dict[str, tuple[Format, bytes]] = {"csv": (to_csv, b""), "json": (to_json, b"\n]\n")}


def readme() -> bytes:
    """What is in the zip, table by table and column by column."""
    parts = [_INTRODUCTION]
    for name, table in TABLES.items():
        columns = "\n".join(f"  {column}: {words}" for column, words in table.columns.items())
        parts.append(f"{name}.csv, {name}.json\n{table.about}\n{columns}\n")
    left_out = "\n".join(f"  {name}: {words}" for name, words in LEFT_OUT.items())
    parts.append(f"Left out\n{left_out}\n")
    return "\n".join(parts).encode()


def manifest(studio: UUID, made: datetime, counts: Mapping[str, int]) -> bytes:
    """For programs."""
    tables = {name: {"rows": counts[name], "columns": list(table.columns)} for name, table in TABLES.items()}
    content = {"format": FORMAT, "studio": f"studios/{studio}", "createTime": made.isoformat(), "tables": tables}
    return json.dumps(content, indent=2).encode() + b"\n"


def _cell(value: object) -> object:
    if value is None:
        return ""
    if isinstance(value, list | dict):
        return json.dumps(value, default=_plain, ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return value.isoformat() if isinstance(value, date) else value


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, date) else str(value)
