import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.chassis.errors import InvalidArgument
from services.identity.accounts import label, normalised


@given(st.emails())
def test_an_address_has_one_spelling(email: str) -> None:
    assert normalised(f" {email.upper()} ") == normalised(normalised(email.upper()))


@pytest.mark.parametrize("email", ["", "a", "a@", "@b.c", "a@b", "a@b.", "a b@c.d", "a@b@c.d", "a\x00@b.c", "a@b.c\nd"])
def test_what_cannot_be_an_address_is_refused(email: str) -> None:
    with pytest.raises(InvalidArgument) as caught:
        normalised(email, "invitation.email")
    assert (caught.value.reason, caught.value.violations[0][0]) == ("INVALID_EMAIL", "invitation.email")


def test_a_label_is_trimmed() -> None:
    assert label("  Front door ", "display_name") == "Front door"
