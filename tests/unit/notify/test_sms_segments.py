"""Segments of an SMS."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.notify.sms_segments import Encoding, measure, plain


@pytest.mark.parametrize(
    ("text", "encoding", "units", "segments"),
    [
        ("", Encoding.GSM_7, 0, 1),
        ("a" * 160, Encoding.GSM_7, 160, 1),
        ("a" * 161, Encoding.GSM_7, 161, 2),
        ("a" * 306, Encoding.GSM_7, 306, 2),
        ("a" * 307, Encoding.GSM_7, 307, 3),
        ("€" * 80, Encoding.GSM_7, 160, 1),
        # 153 is odd: the last septet of each segment stays empty, because an escape is not parted from its letter.
        ("€" * 153, Encoding.GSM_7, 306, 3),
        ("Grüße aus Köln", Encoding.GSM_7, 14, 1),
        ("ы" * 70, Encoding.UCS_2, 70, 1),
        ("ы" * 71, Encoding.UCS_2, 71, 2),
        ("😀" * 35, Encoding.UCS_2, 70, 1),
        # 67 is odd: no surrogate pair is parted.
        ("😀" * 67, Encoding.UCS_2, 134, 3),
    ],
)
def test_what_a_text_costs(text: str, encoding: Encoding, units: int, segments: int) -> None:
    measured = measure(text)
    assert (measured.encoding, measured.units, measured.segments) == (encoding, units, segments)


def test_what_editors_put_in_need_not_cost_a_segment() -> None:
    typed = "“See you at 7” – it’s on…" + "a" * 100
    assert measure(typed).segments == 2
    assert measure(plain(typed)).segments == 1


@settings(deadline=None)
@given(st.text(max_size=400))
def test_a_segment_is_never_overfull(text: str) -> None:
    measured = measure(text)
    room = 153 if measured.encoding == Encoding.GSM_7 else 67
    assert measured.segments == 1 or measured.units <= measured.segments * room
    assert measured.units > (measured.segments - 1) * (room - 1) or measured.segments == 1
