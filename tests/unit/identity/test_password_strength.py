import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.errors import InvalidArgument
from services.identity.passwords import MIN_LENGTH, check_strength

EMAIL = "ada.lovelace@example.test"


@pytest.mark.parametrize(
    "password",
    ["", "123456789", "1234567890", "QWERTYUIOP", "aaaaaaaaaaaa", "abcabcabcabc", EMAIL.upper(), "Ada.Lovelace"],
)
def test_the_first_guesses_are_refused(password: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        check_strength(password, EMAIL, "new_password")
    assert caught.value.reason == "WEAK_PASSWORD"
    assert caught.value.violations[0][0] == "new_password"


@pytest.mark.parametrize("password", ["tidal zebra 40", "correct horse battery", "пилатес утром"])
def test_anything_else_is_accepted(password: str) -> None:
    check_strength(password, EMAIL, "password")


@given(st.text(max_size=MIN_LENGTH - 1))
def test_short_is_weak(password: str) -> None:
    with pytest.raises(InvalidArgument):
        check_strength(password, EMAIL, "password")
