"""How a text travels as SMS: in the 7-bit alphabet of GSM 03.38 or in UCS-2, in how many segments. Pure.

One character outside the alphabet makes the whole text UCS-2, at 70 instead of 160 characters a segment; studios pay by
the segment, so the editor shows it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

_BASIC = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# Two septets each: an escape and a letter.
_EXTENDED = frozenset("\f^{}\\[~]|€")
# What editors put in and the alphabet has a plain form of.
_PLAIN = str.maketrans(
    {"‘": "'", "’": "'", "“": '"', "”": '"', "„": '"', "–": "-", "—": "-", "…": "...", "\u00a0": " ", "\u202f": " "}
)


class Encoding(StrEnum):
    GSM_7 = "gsm_7"
    UCS_2 = "ucs_2"


@dataclass(frozen=True)
class Measure:
    """`units` are septets, or UTF-16 code units."""

    encoding: Encoding
    units: int
    segments: int


def plain(text: str) -> str:
    """The text with typographic quotes, dashes and spaces made plain, which often spares the second segment."""
    return text.translate(_PLAIN)


def measure(text: str) -> Measure:
    """How the text travels."""
    if all(character in _BASIC or character in _EXTENDED for character in text):
        return _measure(Encoding.GSM_7, [1 + (character in _EXTENDED) for character in text], alone=160, each=153)
    widths = [1 + (ord(character) > 0xFFFF) for character in text]
    return _measure(Encoding.UCS_2, widths, alone=70, each=67)


def _measure(encoding: Encoding, widths: Iterable[int], *, alone: int, each: int) -> Measure:
    """A concatenated message gives up room in each segment for its header; no character is cut in two."""
    widths = list(widths)
    units = sum(widths)
    if units <= alone:
        return Measure(encoding, units, 1)
    segments, left = 1, each
    for width in widths:
        if width > left:
            segments, left = segments + 1, each
        left -= width
    return Measure(encoding, units, segments)
