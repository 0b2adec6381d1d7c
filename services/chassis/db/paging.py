"""Keyset paging with signed tokens (AIP-158): opaque, bound to the query, never an authorisation."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from services.chassis.errors import InvalidArgument

DEFAULT_PAGE_SIZE = 50
MAX_PAGE_SIZE = 200

T = TypeVar("T")
Key = tuple[str | int | datetime | UUID, ...]


class Pager:
    """Makes and reads page tokens. `secret` signs them; every replica of a service has the same."""

    def __init__(self, secret: str) -> None:
        self._secret = hashlib.sha256(b"page token " + secret.encode()).digest()

    def page(self, query: str, page_size: int, page_token: str) -> "Page":
        """The page a request asks for. `query` names list, parent and filters: a token of another query is refused.

        Raises InvalidArgument for a negative size or a token that is forged, damaged or of another query.
        """
        if page_size < 0:
            raise InvalidArgument("page_size", "must not be negative")
        size = min(page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)
        return Page(self, query, size, self._read(query, page_token) if page_token else None)

    def token(self, query: str, key: Key) -> str:
        body = json.dumps([_plain(part) for part in key], separators=(",", ":")).encode()
        return base64.urlsafe_b64encode(self._mac(query, body) + body).decode().rstrip("=")

    def _read(self, query: str, token: str) -> list[str | int | datetime | UUID]:
        try:
            raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
            mac, body = raw[:16], raw[16:]
            if hmac.compare_digest(mac, self._mac(query, body)):
                return [_typed(part) for part in json.loads(body)]
        except ValueError:
            pass
        raise InvalidArgument("page_token", "is not a token of this list", reason="INVALID_PAGE_TOKEN")

    def _mac(self, query: str, body: bytes) -> bytes:
        return hmac.new(self._secret, query.encode() + b"\0" + body, hashlib.sha256).digest()[:16]


class Page:
    """One page: `size` rows after the key `after` (None at the start). Fetch `limit` rows, then `cut` them."""

    def __init__(self, pager: Pager, query: str, size: int, after: list[str | int | datetime | UUID] | None) -> None:
        self._pager, self._query, self.size, self.after = pager, query, size, after

    @property
    def limit(self) -> int:
        """One row more than the page holds, to know whether there is a next one."""
        return self.size + 1

    def cut(self, rows: Sequence[T], key: Callable[[T], Key]) -> tuple[list[T], str]:
        """The page's rows and the token of the next page, empty at the end. `key` gives a row's sort key."""
        shown = list(rows[: self.size])
        more = len(rows) > self.size
        return shown, self._pager.token(self._query, key(shown[-1])) if more else ""


def _plain(part: str | int | datetime | UUID) -> list[str | int]:
    if isinstance(part, datetime):
        return ["t", part.isoformat()]
    if isinstance(part, UUID):
        return ["u", str(part)]
    return ["v", part]


def _typed(part: list[str | int]) -> str | int | datetime | UUID:
    kind, value = part
    if kind == "t":
        return datetime.fromisoformat(str(value))
    if kind == "u":
        return UUID(str(value))
    return value
