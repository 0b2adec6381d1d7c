from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from services.identity.links import Links

LINKS = Links("s" * 32)


@given(st.uuids())
def test_a_link_says_what_it_was_made_for(subject: UUID) -> None:
    token = LINKS.token("invitation", subject)
    assert LINKS.token("invitation", subject) == token
    assert LINKS.read("invitation", token) == subject
    assert LINKS.read("password-reset", token) is None
    assert Links("t" * 32).read("invitation", token) is None


@given(st.text(max_size=120))
def test_noise_is_no_link(noise: str) -> None:
    assert LINKS.read("invitation", noise) is None


@given(st.uuids(), st.integers(min_value=0, max_value=95))
def test_one_changed_character_breaks_it(subject: UUID, position: int) -> None:
    token = LINKS.token("invitation", subject)
    other = "0" if token[position] != "0" else "1"
    assert LINKS.read("invitation", token[:position] + other + token[position + 1 :]) is None
