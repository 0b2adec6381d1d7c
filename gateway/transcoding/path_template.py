"""Path templates of `google.api.http`: `/v1/{name=studios/*/bookings/*}:cancel`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

ANY = "*"
REST = "**"
WILDCARDS = frozenset({ANY, REST})

_TEMPLATE = re.compile(r"/(?P<path>.+?)(?::(?P<verb>[^/{}:]+))?")
_SLASH_OUTSIDE_BRACES = re.compile(r"/(?![^{}]*\})")
_VARIABLE = re.compile(r"\{(?P<field>[a-zA-Z_][\w.]*)(?:=(?P<segments>[^{}]+))?\}")
_SEGMENT = re.compile(r"\*\*|\*|[^*{}:/]+")
BROKEN_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_SLASH_ESCAPE = re.compile(rb"(%2[Ff])")


@dataclass(frozen=True, slots=True)
class Variable:
    """A request field filled from the path segments `start:end` (`end` None: to the last one)."""

    field: tuple[str, ...]
    start: int
    end: int | None
    # Several segments keep "%2F" as sent; a single one is decoded wholly.
    multi: bool


@dataclass(frozen=True, slots=True)
class Template:
    """Segments are literals, `*` or a final `**`; the verb is empty when there is none."""

    segments: tuple[str, ...]
    verb: str
    variables: tuple[Variable, ...]

    def values(self, raw_segments: list[bytes]) -> dict[tuple[str, ...], str]:
        """What each variable captures from a path that matched."""
        return {
            variable.field: b"/".join(
                _decode(raw, variable.multi) for raw in raw_segments[variable.start : variable.end]
            ).decode()
            for variable in self.variables
        }


def parse(text: str) -> Template:
    """Reads a template. Raises ValueError that says what is wrong with it."""
    whole = _TEMPLATE.fullmatch(text)
    if whole is None:
        raise ValueError(f"path template {text!r} must start with '/'")
    segments: list[str] = []
    variables: list[Variable] = []
    for part in _SLASH_OUTSIDE_BRACES.split(whole["path"]):
        match = _VARIABLE.fullmatch(part)
        inner = (match["segments"] or ANY).split("/") if match else [part]
        if not all(_SEGMENT.fullmatch(segment) for segment in inner):
            raise ValueError(f"path template {text!r} has a bad segment {part!r}")
        if match:
            end = None if inner[-1] == REST else len(segments) + len(inner)
            multi = len(inner) > 1 or inner[0] == REST
            variables.append(Variable(tuple(match["field"].split(".")), len(segments), end, multi))
        segments += inner
    if REST in segments[:-1]:
        raise ValueError(f"path template {text!r}: '**' may only come last")
    if len({variable.field for variable in variables}) < len(variables):
        raise ValueError(f"path template {text!r} names a field twice")
    return Template(tuple(segments), whole["verb"] or "", tuple(variables))


def split(raw_path: bytes) -> list[bytes]:
    """The still escaped segments of a request's path. Raises ValueError for a broken escape or broken UTF-8."""
    if BROKEN_ESCAPE.search(raw_path):
        raise ValueError("the path has a '%' that is not followed by two hexadecimal digits")
    try:
        unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        raise ValueError("the path is not UTF-8") from None
    return raw_path.removeprefix(b"/").split(b"/")


def literal(raw_segment: bytes) -> str:
    """A segment as a template would spell it."""
    return unquote_to_bytes(raw_segment).decode()


def _decode(raw_segment: bytes, keep_slash: bool) -> bytes:
    if not keep_slash:
        return unquote_to_bytes(raw_segment)
    parts = _SLASH_ESCAPE.split(raw_segment)
    return b"".join(part if index % 2 else unquote_to_bytes(part) for index, part in enumerate(parts))
