"""Telephone numbers: from what people type to E.164."""

import phonenumbers

from services.chassis.errors import InvalidArgument


def normalised(typed: str, field: str) -> str | None:
    """The number in E.164 (`+4930123456`); None for an empty one. Raises InvalidArgument/PHONE_INVALID for `field`.

    Its country code must be there, since a studio's clients come from anywhere. A number must be possible, not known to
    be assigned: ranges are opened every month, and a client's new number is not to be refused.
    """
    if not typed.strip():
        return None
    try:
        number = phonenumbers.parse(typed, None)
    except phonenumbers.NumberParseException:
        number = None
    if number is None or number.extension or not phonenumbers.is_possible_number(number):
        raise InvalidArgument(field, "is no number with a country code, like +49 30 123456", reason="PHONE_INVALID")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
