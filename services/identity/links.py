"""Secret links in mails: an id and a MAC over it, so nothing secret is stored and the same link can be made again."""

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from uuid import UUID

from services.chassis.errors import FailedPrecondition

Purpose = Literal["invitation", "password-reset"]


class Links:
    """Makes and reads the tokens of links. `secret` is this service's own."""

    def __init__(self, secret: str) -> None:
        self._key = hashlib.sha256(b"mail link " + secret.encode()).digest()

    def token(self, purpose: Purpose, subject: UUID) -> str:
        """The token for an invitation or a password reset, the same at each call."""
        return f"{subject.hex}{self._mac(purpose, subject)}"

    def read(self, purpose: Purpose, token: str) -> UUID | None:
        """The id a token was made for; None when it is forged, damaged or made for another purpose."""
        try:
            subject = UUID(hex=token[:32])
        except ValueError:
            return None
        genuine = self.token(purpose, subject)
        return subject if hmac.compare_digest(genuine.encode(), token.encode()) else None

    def _mac(self, purpose: Purpose, subject: UUID) -> str:
        return hmac.new(self._key, f"{purpose}:{subject}".encode(), hashlib.sha256).hexdigest()


class LinkExpired(FailedPrecondition):
    """The link was used, is too old, or was never one of ours; which of them is nobody's business."""

    def __init__(self) -> None:
        super().__init__("this link is not valid any more; ask for a new one", reason="LINK_EXPIRED")


@dataclass(frozen=True)
class MailLink:
    """What a mail with a link needs. `role` is the offered one, for invitations."""

    email: str
    display_name: str
    token: str
    expire_time: datetime
    role: int | None
