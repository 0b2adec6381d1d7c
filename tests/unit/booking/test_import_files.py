"""CSV files read in windows: the same rows, wherever a window ends and whatever the encoding."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.booking import import_dates, import_files
from services.booking.import_columns import suggest
from services.booking.import_dates import DateError
from services.booking.import_files import CODECS, Inspection, Row

TEXT = st.text(st.sampled_from('aä€,;"\n\r '), max_size=6)


def in_windows(data: bytes, encoding: str, size: int) -> list[Row]:
    """All rows, read in windows that grow until they hold a row, as the longest row of a file bounds them."""
    rows: list[Row] = []
    position, line, width = 0, 1, size
    while position < len(data):
        last = position + width >= len(data)
        window = import_files.read(data[position : position + width], encoding, ",", line, last=last, at_most=3)
        if not window.size:
            width *= 2
            continue
        rows += window.rows
        position, line, width = position + window.size, window.next_line, size
    return rows


@given(
    table=st.lists(st.lists(TEXT, min_size=2, max_size=3), max_size=12),
    encoding=st.sampled_from(list(CODECS)),
    size=st.integers(4, 80),
)
def test_rows_are_the_same_wherever_windows_end(table: list[list[str]], encoding: str, size: int) -> None:
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(table)
    data = text.getvalue().encode(CODECS[encoding])
    expected = [[value.strip() for value in row] for row in table]
    assert [row.values for row in in_windows(data, encoding, size)] == [row for row in expected if any(row)]


@given(text=st.text(st.sampled_from('a,"\n\r\0'), max_size=40), size=st.integers(4, 60))
def test_whatever_is_in_it_reading_ends_and_lines_count_up(text: str, size: int) -> None:
    rows = in_windows(text.encode(), "UTF_8", size)
    lines = [row.line for row in rows]
    assert lines == sorted(set(lines))


def test_an_open_quotation_costs_its_line_alone() -> None:
    data = b'1,Clara\n2,"Ben\n3,Ada\n'
    window = import_files.read(data, "UTF_8", ",", 1, last=True, at_most=10)
    assert [(row.line, row.refusal) for row in window.rows] == [(1, ""), (2, "MALFORMED_ROW"), (3, "")]


@pytest.mark.parametrize("size", [1, 7, 5000])
@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        ("Jörg;€".encode(), "UTF_8"),
        ("Jörg;€".encode("cp1252"), "WINDOWS_1252"),
        (("x" * 3000 + "ö").encode(), "UTF_8"),
        (("x" * 3000 + "ö").encode("cp1252"), "WINDOWS_1252"),
        ("Jörg".encode("utf-16"), "UTF_16_LE"),
        (("Jörg " * 300).encode("utf-16-be"), "UTF_16_BE"),
    ],
)
def test_the_whole_file_tells_its_encoding(data: bytes, encoding: str, size: int) -> None:
    inspection = Inspection("")
    for start in range(0, len(data), size):
        inspection.feed(data[start : start + size])
    assert inspection.encoding() == encoding


@pytest.mark.parametrize(
    ("text", "read"),
    [("6:30 PM", "18:30"), ("12:05am", "00:05"), ("18.30 Uhr", "18:30"), ("18:30:00", "18:30"), ("0:00", "00:00")],
)
def test_times_are_read(text: str, read: str) -> None:
    assert import_dates.parse_time(text).isoformat("minutes") == read


@pytest.mark.parametrize("text", ["25:00", "18:60", "13:00 pm", "half six", ""])
def test_what_is_no_time_is_refused(text: str) -> None:
    with pytest.raises(DateError):
        import_dates.parse_time(text)


@given(st.dates(), st.sampled_from(["%d/%m/%Y", "%m/%d/%Y"]))
def test_a_date_is_read_as_written_or_refused(day: object, form: str) -> None:
    text = day.strftime(form)  # type: ignore[attr-defined]
    if len(text) < 10:
        return
    order = import_dates.DAY_FIRST if form.startswith("%d") else import_dates.MONTH_FIRST
    assert import_dates.parse_date(text, order) == day
    if max(int(text[:2]), int(text[3:5])) > 12 or text[:2] == text[3:5]:
        assert import_dates.parse_date(text, import_dates.UNKNOWN) == day
    else:
        with pytest.raises(DateError, match="DATE_AMBIGUOUS"):
            import_dates.parse_date(text, import_dates.UNKNOWN)


def test_a_column_is_suggested_once() -> None:
    assert suggest("CLIENTS", ["ID", "Name", "Telefon", "Mobile Phone", "Geburtsdatum", "Foo"]) == {
        "external_id": "ID",
        "display_name": "Name",
        "phone": "Mobile Phone",
        "birth_date": "Geburtsdatum",
    }
