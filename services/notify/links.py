"""Links that need no signing in: to a client's preferences, and to end one kind of mail with one click (RFC 8058).

A link is a token signed with the service's secret. It names studio and client, so whoever has it may change what that
client is sent, and see nothing but that.
"""

import base64
import hashlib
import hmac
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.chassis.clock import real_now
from services.chassis.errors import FailedPrecondition
from services.notify.local_words import LANGUAGES, spoken
from services.notify.models import Kind

# From the moment that the message was made. People unsubscribe by old mails too.
LIFETIME = timedelta(days=180)

_BODY = struct.Struct(">16s16sBBI")
_MAC = 16
# The numbers never change: they are in mails that were sent.
_NUMBERS = {
    Kind.BOOKING_CONFIRMATION: 1,
    Kind.REMINDER: 2,
    Kind.WAITLIST_PROMOTED: 3,
    Kind.WAITLIST_OFFER: 4,
    Kind.CLASS_CANCELLED: 5,
    Kind.CLASS_CHANGED: 6,
    Kind.FEE_DUE: 7,
    Kind.RECEIPT: 8,
    Kind.DISPLACED: 9,
    Kind.FEE_DECLINED: 10,
    Kind.MEMBERSHIP_JOINED: 11,
    Kind.MEMBERSHIP_PAST_DUE: 12,
    Kind.MEMBERSHIP_CANCELLED: 13,
    Kind.MEMBERSHIP_ENDED: 14,
    Kind.MEMBERSHIP_PAUSED: 15,
    Kind.PURCHASE_RETURNED: 16,
}
_KINDS = {number: kind for kind, number in _NUMBERS.items()}


@dataclass(frozen=True)
class Link:
    """What a token says. `kind` is that of the mail it came in, None in one that a person asked for."""

    tenant: UUID
    client_id: UUID
    kind: Kind | None
    # Of that mail.
    language: str
    expire_time: datetime


class Links:
    """Makes and reads tokens. Every replica has the same secret."""

    def __init__(self, secret: str) -> None:
        self._secret = hashlib.sha256(b"preference link " + secret.encode()).digest()

    def token(self, tenant: UUID, client_id: UUID, kind: Kind | None, language: str, since: datetime) -> str:
        """The same for the same mail, however often it is made; `since` is when it was planned."""
        number, spoken_in = _NUMBERS[kind] if kind else 0, LANGUAGES.index(spoken(language))
        body = _BODY.pack(tenant.bytes, client_id.bytes, number, spoken_in, int((since + LIFETIME).timestamp()))
        return base64.urlsafe_b64encode(body + self._mac(body)).decode().rstrip("=")

    def read(self, token: str) -> Link:
        """Raises FailedPrecondition LINK_INVALID for a token that is none, LINK_EXPIRED for one that was."""
        try:
            raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except ValueError:
            raw = b""
        body, mac = raw[: _BODY.size], raw[_BODY.size :]
        if len(mac) != _MAC or not hmac.compare_digest(mac, self._mac(body)):
            raise FailedPrecondition("this link is damaged; open the one in your mail again", reason="LINK_INVALID")
        tenant, client, number, spoken_in, expires = _BODY.unpack(body)
        expire_time = datetime.fromtimestamp(expires, UTC)
        if expire_time <= real_now():
            raise FailedPrecondition("this link has expired; a newer message has a new one", reason="LINK_EXPIRED")
        return Link(UUID(bytes=tenant), UUID(bytes=client), _KINDS.get(number), LANGUAGES[spoken_in], expire_time)

    def _mac(self, body: bytes) -> bytes:
        return hmac.new(self._secret, body, hashlib.sha256).digest()[:_MAC]
