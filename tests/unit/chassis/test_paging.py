"""Page tokens: opaque, bound to their list, of no use when damaged."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.db.paging import MAX_PAGE_SIZE, Key, Pager
from services.chassis.errors import InvalidArgument

PAGER = Pager("a secret of the service, the same on every replica")
KEYS = st.tuples(st.datetimes(timezones=st.just(UTC)), st.uuids(), st.text(max_size=20), st.integers())


@given(KEYS)
def test_a_token_leads_to_the_row_after_its_key(key: Key) -> None:
    token = PAGER.token("rooms of a studio", key)
    assert PAGER.page("rooms of a studio", 0, token).after == list(key)


@given(st.integers(min_value=0), st.integers(0, 255))
def test_a_damaged_token_is_refused(position: int, byte: int) -> None:
    token = PAGER.token("rooms", (datetime(2026, 1, 1, tzinfo=UTC), "x"))
    place = position % len(token)
    damaged = token[:place] + chr(33 + byte % 90) + token[place + 1 :]
    if damaged == token or _same_bytes(damaged, token):
        return
    with pytest.raises(InvalidArgument) as refusal:
        PAGER.page("rooms", 0, damaged)
    assert refusal.value.reason == "INVALID_PAGE_TOKEN"


def _same_bytes(one: str, other: str) -> bool:
    """Base64 has spare bits at its end: two texts may mean the same token."""

    def decoded(text: str) -> bytes:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    try:
        return decoded(one) == decoded(other)
    except ValueError:
        return False


def test_a_token_of_another_list_or_another_secret_is_refused() -> None:
    token = PAGER.token("rooms", ("a",))
    with pytest.raises(InvalidArgument):
        PAGER.page("instructors", 0, token)
    with pytest.raises(InvalidArgument):
        Pager("another secret").page("rooms", 0, token)


def test_sizes_are_bounded() -> None:
    assert PAGER.page("rooms", 0, "").size == 50
    assert PAGER.page("rooms", 100_000, "").size == MAX_PAGE_SIZE
    with pytest.raises(InvalidArgument):
        PAGER.page("rooms", -1, "")


def test_the_last_page_has_no_token() -> None:
    page = PAGER.page("rooms", 2, "")
    assert page.limit == 3
    assert page.cut(["a", "b"], lambda row: (row,)) == (["a", "b"], "")
    shown, token = page.cut(["a", "b", "c"], lambda row: (row,))
    assert shown == ["a", "b"]
    assert PAGER.page("rooms", 2, token).after == ["b"]
