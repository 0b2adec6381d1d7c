"""CSV files as other systems write them: encoding, delimiter, header, and rows a window at a time. No I/O.

A place in a file is the number of its bytes before it, so that reading goes on anywhere: text is decoded strictly, and
encodes back to the bytes it came from.
"""

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.chassis.errors import InvalidArgument

# As the proto's Encoding names them, and as Python does.
CODECS = {"UTF_8": "utf-8", "UTF_16_LE": "utf-16-le", "UTF_16_BE": "utf-16-be", "WINDOWS_1252": "cp1252"}
DELIMITERS = (";", ",", "\t", "|")
# Characters.
MAX_ROW = 64 * 1024
_HEAD = 64 * 1024
# So many bytes tell whether a file is UTF-16.
_TELLING = 1024
_BOMS = {codecs.BOM_UTF8: "UTF_8", codecs.BOM_UTF16_LE: "UTF_16_LE", codecs.BOM_UTF16_BE: "UTF_16_BE"}
# What spreadsheets and archives begin with.
_NO_TEXT = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0", b"%PDF", b"\x1f\x8b", b"\x89PNG")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)")
_LOOKS_LIKE_DATA = re.compile(r"^\s*$|@|^[+\-\d.,/: ]+$")


def text_type(head: bytes) -> str | None:
    """The content type by the first bytes; None for a spreadsheet and the like."""
    return None if head.startswith(_NO_TEXT) else "text/csv"


class Inspection:
    """Looks at a file as it comes in, and tells its encoding when all has been seen. Holds its head alone."""

    def __init__(self, encoding: str) -> None:
        self._wanted = encoding
        self.head = b""
        # What came before the encodings to try were known.
        self._unread = b""
        # Those that could read it all so far, likeliest first; None until the first bytes have told.
        self._decoders: dict[str, codecs.IncrementalDecoder] | None = None

    def feed(self, piece: bytes) -> None:
        """The next bytes."""
        if len(self.head) < _HEAD:
            self.head += piece[: _HEAD - len(self.head)]
        if self._decoders is not None:
            self._decode(self._decoders, piece)
            return
        self._unread += piece
        if len(self._unread) >= _TELLING:
            self._begin(self._unread)

    def encoding(self) -> str:
        """Of the whole file. Raises InvalidArgument/FILE_NOT_DECODABLE."""
        if self._decoders is None:
            self._begin(self._unread)
        decoders = self._decoders or {}
        self._decode(decoders, b"", final=True)
        for name in decoders:
            return name
        raise InvalidArgument("file", "is no text in an encoding that is known here", reason="FILE_NOT_DECODABLE")

    def _begin(self, head: bytes) -> None:
        self._decoders = {name: codecs.getincrementaldecoder(CODECS[name])() for name in self._candidates(head)}
        self._decode(self._decoders, head)
        self._unread = b""

    def _candidates(self, first: bytes) -> list[str]:
        """The encodings it may have, likeliest first."""
        marked = next((name for bom, name in _BOMS.items() if first.startswith(bom)), None)
        if self._wanted == "UTF_16":
            # Nearly all that people write has a zero in each character's upper half.
            return [marked] if marked in ("UTF_16_LE", "UTF_16_BE") else [_order_of_zeros(first) or "UTF_16_LE"]
        if self._wanted in CODECS:
            return [self._wanted]
        zeros = marked or _order_of_zeros(first)
        return [zeros] if zeros else ["UTF_8", "WINDOWS_1252"]

    @staticmethod
    def _decode(decoders: dict[str, codecs.IncrementalDecoder], piece: bytes, *, final: bool = False) -> None:
        for name, decoder in list(decoders.items()):
            try:
                decoder.decode(piece, final)
            except UnicodeDecodeError:
                del decoders[name]


@dataclass(frozen=True)
class Layout:
    """How a file is laid out."""

    # A name of CODECS.
    encoding: str
    delimiter: str
    header: list[str]
    # Where its first row begins, in bytes, and on which line.
    start: int
    line: int


@dataclass(frozen=True)
class Row:
    """One row: its values, or why it has none."""

    line: int
    values: list[str]
    refusal: str = ""


@dataclass(frozen=True)
class Window:
    """The whole rows of some bytes, and where the next one begins."""

    rows: list[Row]
    # Bytes of the window that these rows took.
    size: int
    next_line: int


def layout(head: bytes, encoding: str, delimiter: str) -> Layout:
    """What the first bytes of a file tell. Raises InvalidArgument UNKNOWN_DELIMITER, NO_HEADER, DUPLICATE_COLUMN."""
    bom = next((bom for bom, name in _BOMS.items() if name == encoding and head.startswith(bom)), b"")
    text = head[len(bom) :].decode(CODECS[encoding], "ignore")
    delimiter = delimiter or _delimiter_of(text)
    whole = len(head) < _HEAD
    window = read(text.encode(CODECS[encoding]), encoding, delimiter, 1, last=whole, at_most=1)
    if not window.rows or window.rows[0].refusal:
        raise InvalidArgument("file", "has no header", reason="NO_HEADER")
    header = [name.strip() for name in window.rows[0].values]
    while header and not header[-1]:
        header.pop()
    if not header or any(_LOOKS_LIKE_DATA.search(name) for name in header):
        raise InvalidArgument("file", "has no header: its first line must name the columns", reason="NO_HEADER")
    twice = next((name for name in header if header.count(name) > 1), None)
    if twice is not None:
        raise InvalidArgument("file", f"has two columns named {twice[:60]}", reason="DUPLICATE_COLUMN")
    return Layout(encoding, delimiter, header, len(bom) + window.size, window.next_line)


def read(data: bytes, encoding: str, delimiter: str, line: int, *, last: bool, at_most: int) -> Window:
    """The whole rows in `data`, which begins with line `line`. `last` when the file ends with it.

    What is no CSV costs one line: the next row is looked for right after it.
    """
    codec = CODECS[encoding]
    text = codecs.getincrementaldecoder(codec)().decode(data, last)
    lines = list(_lines(text, last=last))
    rows: list[Row] = []
    position, size = 0, 0
    while position < len(lines) and len(rows) < at_most:
        row, used = _row(lines, position, delimiter, line, last=last)
        if row is None:
            break
        size += sum(len(each.encode(codec)) for each in lines[position : position + used])
        position, line = position + used, line + used
        if row.refusal or any(row.values):
            rows.append(row)
    return Window(rows, size, line)


def _row(lines: Sequence[str], position: int, delimiter: str, line: int, *, last: bool) -> tuple[Row | None, int]:
    """The row that begins there and how many lines it takes; None when its end is not in sight."""
    taken = 0

    def pull() -> Iterator[str]:
        nonlocal taken
        length = 0
        for number in range(position, len(lines)):
            length += len(lines[number])
            if length > MAX_ROW:
                raise _TooLongError
            taken += 1
            yield lines[number]

    try:
        values = next(csv.reader(pull(), delimiter=delimiter, strict=True))
    except _TooLongError:
        return Row(line, [], "ROW_TOO_LONG"), 1
    except csv.Error:
        if taken == len(lines) - position and not last:
            return None, 0
        return Row(line, [], "MALFORMED_ROW"), 1
    if any("\0" in value for value in values):
        return Row(line, [], "NUL_IN_ROW"), taken
    return Row(line, [value.strip() for value in values]), taken


class _TooLongError(Exception):
    pass


def _lines(text: str, *, last: bool) -> Iterator[str]:
    """Lines with their ends; the unfinished one only if nothing follows."""
    end = 0
    for match in _LINE.finditer(text):
        # The other half of this line's end may be in the next window.
        if not last and match.end() == len(text) and text.endswith("\r"):
            break
        end = match.end()
        yield match.group()
    if last and end < len(text):
        yield text[end:]


def _delimiter_of(text: str) -> str:
    """The one that parts the first lines into most columns, equally many in each."""
    first, *others = [line for line in _LINE.findall(text + "\n")[:20] if line.strip()] or [""]

    def columns(line: str, delimiter: str) -> int:
        return len(next(csv.reader([line], delimiter=delimiter), []))

    found = {each: columns(first, each) for each in DELIMITERS}
    best = max(DELIMITERS, key=lambda each: (found[each], sum(columns(line, each) == found[each] for line in others)))
    if found[best] > 1:
        return best
    # A single column has none, unless the words are parted by something else.
    if re.search(r"\w[~^#*§]\s*\w|\t|  ", first.strip()):
        raise InvalidArgument("file", "parts its columns by something unknown", reason="UNKNOWN_DELIMITER")
    return ","


def _order_of_zeros(first: bytes) -> str | None:
    """UTF-16 without a mark: every other byte of western text is zero."""
    sample = first[:1024]
    pairs = len(sample) // 2
    if pairs and sample[1::2].count(0) > pairs * 0.7:
        return "UTF_16_LE"
    if pairs and sample[0::2].count(0) > pairs * 0.7:
        return "UTF_16_BE"
    return None
