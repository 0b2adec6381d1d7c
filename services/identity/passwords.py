"""Passwords: which are too weak, and their argon2id hashes, made and verified off the event loop."""

import asyncio
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import TypeVar

from argon2 import PasswordHasher, Type
from argon2.exceptions import VerifyMismatchError
from prometheus_client import Counter

from services.chassis.errors import InvalidArgument

MIN_LENGTH = 10
MIN_DIFFERENT_CHARACTERS = 4

# The floor of OWASP's Password Storage Cheat Sheet; raising it rehashes each password when its owner next signs in.
_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1, type=Type.ID)
# Each takes 19 MiB and one core; further ones wait in line until their call's deadline.
_CONCURRENT_HASHES = 2

HASHES = Counter("powerhouse_password_hashes_total", "argon2 computations", ("operation",))

# The commonest passwords long enough to pass the length rule.
_COMMON = frozenset((Path(__file__).parent / "common_passwords.txt").read_text(encoding="ascii").split())

T = TypeVar("T")


def check_strength(password: str, email: str, field: str) -> None:
    """Raises InvalidArgument (WEAK_PASSWORD) for `field` when the password is among the first to be guessed."""
    plain = password.casefold()
    fault = None
    if len(password) < MIN_LENGTH:
        fault = f"must have at least {MIN_LENGTH} characters"
    elif plain in (email.casefold(), email.partition("@")[0].casefold()):
        fault = "must not be the e-mail address"
    elif plain in _COMMON or len(set(plain)) < MIN_DIFFERENT_CHARACTERS:
        fault = "is one of the commonest passwords"
    if fault:
        raise InvalidArgument(field, fault, reason="WEAK_PASSWORD")


class Passwords:
    """Hashes and verifies, a few at a time, in threads of its own."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_CONCURRENT_HASHES, thread_name_prefix="argon2")
        self._nobody = _hash_of_nobody()

    async def hash(self, password: str) -> str:
        """The hash to store."""
        HASHES.labels("hash").inc()
        return await self._run(lambda: _HASHER.hash(_normalised(password)))

    async def verify(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is right. None, for someone unknown, takes as long and is never right."""
        HASHES.labels("verify").inc()
        right = await self._run(lambda: _is_right(password_hash or self._nobody, password))
        return right and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return _HASHER.check_needs_rehash(password_hash)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)


@cache
def _hash_of_nobody() -> str:
    """Verified for unknown addresses, so that they cost what known ones cost."""
    return _HASHER.hash("the password of nobody")


def _is_right(password_hash: str, password: str) -> bool:
    try:
        return _HASHER.verify(password_hash, _normalised(password))
    except VerifyMismatchError:
        return False


def _normalised(password: str) -> str:
    """The same bytes however a keyboard composes its accents (NIST SP 800-63B)."""
    return unicodedata.normalize("NFKC", password)
