"""Sending one delivery: ask who and whether, commit the intention, call the provider, record the outcome.

A crash anywhere leads here again. What a provider may have taken without saying so is repeated only under the same key
where the provider sends once per key; else it is looked for there, and never sent again.
"""

import hashlib
import hmac
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import cast

import grpc

from services.chassis.clock import real_now
from services.chassis.crashpoints import crashpoint
from services.chassis.jobs.registry import Outcome, Recorded, Retry, Work
from services.chassis.telemetry import logger
from services.notify import letters
from services.notify.content import NotWanted, PutOff
from services.notify.deliveries import KEY_LIFETIME
from services.notify.handing_over import Begun, End, Notes, Sending
from services.notify.letters import Letter
from services.notify.models import MAX_ATTEMPTS, Channel, State
from services.notify.providers.answers import AcceptedBefore, Deferred, NotAsked, NotSent, Rejected, Unclear
from services.notify.providers.choice import providers_of
from services.notify.providers.keys import key_of
from services.notify.providers.mail import Mail, MailProvider
from services.notify.providers.push import SubscriptionGone
from services.notify.providers.sms import Sms, SmsProvider
from services.notify.pushing import Browsers, Notice
from services.notify.recipients import Recipients

log = logger(__name__)

# Runs of a delivery in all. More than calls of a provider: it waits for booking, identity or a provider to come back,
# and that costs no call.
MAX_RUNS = 20
# Seconds between looks for a message that a provider may have taken.
LOOK_AGAIN = 60.0
# A message that was not found for so long after its first call is given up: it was looked for twice by then.
FOUND_BY_NOW = timedelta(seconds=110)
# A provider that cannot be looked through for so long: somebody else has to look.
LOOKED_LONG_ENOUGH = timedelta(minutes=15)
_CLOCKS_DIFFER = timedelta(minutes=1)
AFTER_TWIN = "a text of the same words to the same number is on its way"
NO_TEXTS = "text messages are not set up"
NO_PUSHES = "push messages are not set up"
# Whoever takes a message of its channel.
Taker = MailProvider | SmsProvider | Browsers


@dataclass
class Desk:
    """What the deliveries of one process share: their questions and their notes."""

    work: Work
    recipients: Recipients = field(init=False)
    notes: Notes = field(init=False)

    def __post_init__(self) -> None:
        self.recipients, self.notes = Recipients(self.work), Notes(self.work.database)


@cache
def desk_of(work: Work) -> Desk:
    """The desk of a process."""
    return Desk(work)


async def send(work: Work, sending: Sending) -> Outcome:
    """One run of a delivery."""
    desk = desk_of(work)
    if sending.state == State.PENDING and sending.useful_until and work.clock.now() >= sending.useful_until:
        return await _finish(desk, sending, End(State.SKIPPED, "it would have come too late"))
    try:
        letter = await letters.write(work, desk.recipients, sending)
    except NotWanted as refusal:
        reason = refusal.reason
        if sending.state != State.PENDING:
            reason += "; an earlier attempt may have been accepted"
        return await _finish(desk, sending, End(State.SKIPPED, reason))
    except PutOff as later:
        return await _finish(desk, sending, End(State.PENDING, later.reason, what="put off", due_at=later.until))
    except letters.BadAddress as error:
        return await _finish(desk, sending, End(State.FAILED, str(error)))
    except grpc.aio.AioRpcError as error:
        if sending.attempts < MAX_RUNS:
            return Retry(error.code().name)
        reason = f"whom to write to could not be asked: {error.code().name}"
        return await _finish(desk, sending, End(State.FAILED, reason))
    providers = providers_of(work)
    if isinstance(letter, Sms):
        if providers.sms is None:
            return await _finish(desk, sending, End(State.SKIPPED, NO_TEXTS))
        if sending.state != State.PENDING:
            return await _look(desk, sending, letter, providers.sms)
        return await _call(desk, sending, letter, providers.sms)
    if isinstance(letter, Notice):
        if providers.push is None:
            return await _finish(desk, sending, End(State.SKIPPED, NO_PUSHES))
        return await _call(desk, sending, letter, Browsers(work, providers.push))
    handed_over = sending.state != State.PENDING
    first = sending.first_attempt_time
    if handed_over and first is not None and real_now() - first > KEY_LIFETIME:
        reason = "no answer from the mail provider while it could still be asked safely"
        return await _finish(desk, sending, End(State.FAILED, reason))
    provider = providers.mail.choose(sending.provider, may_have_it=handed_over)
    if provider is None:
        return await _wait_for_word(desk, sending)
    return await _call(desk, sending, letter, provider)


async def _call(desk: Desk, sending: Sending, letter: Letter, provider: Taker) -> Outcome:
    if sending.calls >= MAX_ATTEMPTS:
        reason = sending.reason or f"no answer from the {_called(sending.channel)} provider"
        return await _finish(desk, sending, End(State.FAILED, reason))
    words_hash = _words_hash(desk, letter) if isinstance(letter, Sms) else None
    match await desk.notes.begin(sending, provider.name, words_hash):
        case Begun.LOST:
            return Recorded()
        case Begun.TWIN:
            return Retry(AFTER_TWIN)
    crashpoint("notify_before_provider")
    try:
        message_id = await _hand_over(letter, provider, key_of(sending.tenant_id, sending.id))
    except NotSent as answer:
        log.warning("not_sent", delivery=str(sending.id), answer=type(answer).__name__, reason=answer.reason)
        return await _note_answer(desk, sending, provider, answer)
    crashpoint("notify_after_provider")
    return await _finish(desk, sending, End(State.ACCEPTED, provider=provider.name, provider_message_id=message_id))


async def _hand_over(letter: Letter, provider: Taker, key: str) -> str:
    if isinstance(letter, Mail):
        return await cast(MailProvider, provider).send(letter, key)
    if isinstance(letter, Notice):
        return await cast(Browsers, provider).send(letter, key)
    return await cast(SmsProvider, provider).send(letter, key)


async def _note_answer(desk: Desk, sending: Sending, provider: Taker, answer: NotSent) -> Outcome:
    """Records an answer that was no yes, and says when to go on."""
    last = sending.calls + 1 >= MAX_ATTEMPTS
    if isinstance(answer, AcceptedBefore):
        return await _finish(desk, sending, End(State.ACCEPTED, answer.reason, provider=provider.name))
    if isinstance(answer, SubscriptionGone):
        # Whoever closes a browser for good needs no alarm.
        return await _finish(desk, sending, End(State.SKIPPED, answer.reason, provider=provider.name))
    if isinstance(answer, Rejected):
        return await _finish(desk, sending, End(State.FAILED, answer.reason, provider=provider.name))
    if isinstance(answer, NotAsked):
        end = End(sending.state, answer.reason, "put back", provider.name, uncounted=True, keeps_lease=True)
        return await _pause(desk, sending, end, answer)
    if isinstance(answer, Unclear) and not _repeatable(provider):
        end = End(State.UNKNOWN, answer.reason, provider=provider.name, keeps_lease=True)
        return await _pause(desk, sending, end, answer, LOOK_AGAIN)
    if last:
        return await _finish(desk, sending, End(State.FAILED, answer.reason, provider=provider.name))
    # A no for now says nothing about an earlier call that had no answer: who may have it is not replaced.
    state = sending.state if isinstance(answer, Deferred) else State.SENDING
    what = "put back" if isinstance(answer, Deferred) else "no answer"
    return await _pause(desk, sending, End(state, answer.reason, what, provider.name, keeps_lease=True), answer)


async def _look(desk: Desk, sending: Sending, letter: Sms, provider: SmsProvider) -> Outcome:
    """Whether the provider took a message of which it has said nothing. It is not sent again whatever comes of it."""
    first = sending.first_attempt_time or real_now()
    age = real_now() - first
    try:
        found = await provider.find(letter, first - _CLOCKS_DIFFER)
    except NotSent as answer:
        if age < LOOKED_LONG_ENOUGH and sending.attempts < MAX_RUNS:
            return await _pause(desk, sending, End(State.UNKNOWN, answer.reason, keeps_lease=True), answer, LOOK_AGAIN)
        reason = "whether the SMS provider took it could not be found out; not sent again"
        return await _finish(desk, sending, End(State.FAILED, reason))
    if ours := await desk.notes.unclaimed(provider.name, found):
        end = End(State.ACCEPTED, what="found", provider=provider.name, provider_message_id=ours[0])
        return await _finish(desk, sending, end)
    if age < FOUND_BY_NOW:
        end = End(State.UNKNOWN, "the SMS provider does not know it yet", "looked for", keeps_lease=True)
        return await _pause(desk, sending, end, None, LOOK_AGAIN)
    return await _finish(desk, sending, End(State.FAILED, "the SMS provider does not know it; not sent again"))


async def _wait_for_word(desk: Desk, sending: Sending) -> Outcome:
    """A mail that may have been taken by a provider that forgets keys: only its webhook can tell."""
    first = sending.first_attempt_time or real_now()
    if real_now() - first < LOOKED_LONG_ENOUGH and sending.attempts < MAX_RUNS:
        end = End(State.UNKNOWN, sending.reason or "no answer from the mail provider", keeps_lease=True)
        return await _pause(desk, sending, end, None, LOOK_AGAIN)
    reason = "the mail provider never said whether it took it; not sent again"
    return await _finish(desk, sending, End(State.FAILED, reason))


async def _finish(desk: Desk, sending: Sending, end: End) -> Outcome:
    """Writes the end of a run and gives the row back."""
    if await desk.notes.end(sending, end) and end.state != State.ACCEPTED:
        log.info("delivery_noted", delivery=str(sending.id), kind=sending.kind, state=str(end.state), what=end.what)
    return Recorded()


async def _pause(
    desk: Desk, sending: Sending, end: End, answer: NotSent | None, seconds: float | None = None
) -> Outcome:
    """Writes what came of the run; the row is given back with a pause, growing unless somebody said how long."""
    await desk.notes.end(sending, end)
    asked = answer.retry_after if answer else None
    return Retry(end.what or str(end.state), asked if asked is not None else seconds)


def _words_hash(desk: Desk, text: Sms) -> bytes:
    """By what two texts are known to be the same to their reader, and to who looks for them at the provider."""
    words = "\0".join((text.sender, text.to, text.text))
    return hmac.new(desk.work.settings.secret.encode(), words.encode(), hashlib.sha256).digest()


def _repeatable(provider: Taker) -> bool:
    """Whether the same key may go out again without a second message."""
    return bool(getattr(provider, "remembers_keys", False))


def _called(channel: Channel) -> str:
    return {Channel.EMAIL: "mail", Channel.SMS: "SMS", Channel.PUSH: "push"}[channel]
