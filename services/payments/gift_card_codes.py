"""Codes of gift cards: made of a secret, a card and a number, so that the same one can be shown and mailed again. Pure.

What is stored is only the hash of each, so whoever reads the tables has no code.
"""

import hashlib
import hmac
from uuid import UUID

# No 0, 1, O or I: codes are read aloud and typed.
_ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
# Of five bits each: 80 in all.
_LENGTH = 16


class Codes:
    """Makes codes. Every replica has the same secret; another one makes others, but those that were given stay good."""

    def __init__(self, secret: str) -> None:
        self._secret = hashlib.sha256(b"gift card code " + secret.encode()).digest()

    def code(self, card_id: UUID, version: int) -> str:
        """`ABCD-EFGH-JKLM-NPQR`."""
        digest = hmac.digest(self._secret, card_id.bytes + version.to_bytes(4), "sha256")
        bits = int.from_bytes(digest)
        letters = "".join(_ALPHABET[bits >> 5 * at & 31] for at in range(_LENGTH))
        return "-".join(letters[at : at + 4] for at in range(0, _LENGTH, 4))


def hash_of(code: str) -> str:
    """What is kept of a code, however somebody types it."""
    typed = "".join(letter for letter in code.upper() if letter in _ALPHABET)
    return hashlib.sha256(typed.encode()).hexdigest()
