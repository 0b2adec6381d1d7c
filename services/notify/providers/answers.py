"""What a provider can answer instead of yes, whichever it is."""


class NotSent(Exception):
    """The provider did not say yes. `reason` may be shown to the studio and holds nothing personal."""

    def __init__(self, reason: str, retry_after: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        # Seconds the provider asked to wait.
        self.retry_after = retry_after


class Rejected(NotSent):
    """It will never be accepted: a bad address, a bad request."""


class Deferred(NotSent):
    """Certainly not accepted, but it may be later: a rate limit, an account that needs attention. Tried again."""


class NotReached(Deferred):
    """No connection was made."""


class NotAsked(Deferred):
    """The provider asked for a pause, or failed so often that it gets one: it was not called at all."""


class Unclear(NotSent):
    """Accepted or not: time-out, broken connection, an error on the provider's side.

    Every 5xx is one. Some come from before anything was taken, but none says so: the same 500 comes after a message was
    queued, a 502, 503 or 504 from somebody between us and who took it. So a provider that keeps keys is called again
    under the same one, and one that keeps none (Twilio, SendGrid) is not: there the message is looked for, or its
    webhook waited for, and what is not found ends as failed. Certain, and so Deferred, are only a connection that was
    never made, a refusal for now by 429, and one of the account.
    """


class AcceptedBefore(NotSent):
    """A message with this key but other words was accepted earlier; nothing was sent now."""
