"""The key under which a provider knows a delivery, and by which its webhooks name it.

Letters, digits and one hyphen: it fits into headers, tags and addresses of every provider.
"""

import re
from uuid import UUID

_FORM = re.compile(r"([0-9a-f]{32})-([0-9a-f]{32})")


def key_of(studio: UUID, delivery: UUID) -> str:
    """The key of a delivery."""
    return f"{studio.hex}-{delivery.hex}"


def parse_key(text: str) -> tuple[UUID, UUID] | None:
    """The studio and the delivery; None for what is no key of ours."""
    match = _FORM.fullmatch(text)
    return (UUID(match[1]), UUID(match[2])) if match else None
