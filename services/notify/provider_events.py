"""Provider events: what the providers tell of messages, and what people answer.

A webhook is checked, stored and answered; a job does what follows from it. The same event may come twice, and events
come in any order: each is stored once by the provider's id of it, and what it says is applied by its own time.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import delete, select, update

from services.chassis.clock import real_now
from services.chassis.db.batches import Batches
from services.chassis.db.database import Database
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition
from services.chassis.ids import new_id
from services.chassis.telemetry import current_traceparent, logger
from services.notify import consent, deliveries, senders, suppressions
from services.notify.models import Channel, Outcome, ProviderEvent
from services.notify.providers import resend, sendgrid, twilio
from services.notify.providers.keys import parse_key
from services.notify.providers.resend_webhooks import ResendWebhooks
from services.notify.providers.sendgrid_webhooks import SendGridWebhooks
from services.notify.providers.twilio_webhooks import TwilioWebhooks
from services.notify.providers.webhooks import DeliveryNews, InboundSms, News, Webhook, WebhookReader
from services.notify.settings import NotifySettings

log = logger(__name__)

APPLY_JOB = "apply_provider_events"
_LONGEST_ID = 200
# How many events one job applies.
_CHUNK = 100
# What was sent holds addresses. Its id holds none, and tells for longer that a webhook was there before.
PAYLOAD_KEPT = timedelta(days=35)
KEPT = timedelta(days=730)


# What was told before is not stored, and no job is made for it.
_STORE = """
WITH told AS (
    SELECT * FROM unnest($4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[], $9::uuid[], $10::text[])
        AS r (id, provider, account, external_id, payload, job, traceparent)
), stored AS (
    INSERT INTO provider_events (id, provider, account, external_id, payload, create_time)
    SELECT id, provider, account, external_id, payload::jsonb, $2 FROM told ORDER BY provider, account, external_id
    ON CONFLICT DO NOTHING RETURNING id
)
INSERT INTO jobs (id, kind, dedup_key, args, due_at, traceparent)
SELECT t.job, $1, t.job::text, jsonb_build_object('event_ids', jsonb_agg(t.id)), $3, t.traceparent
FROM told t JOIN stored USING (id) GROUP BY t.job, t.traceparent
"""


class _Row(NamedTuple):
    """An event to be stored, and the job that applies it with up to _CHUNK others."""

    event_id: UUID
    provider: str
    account: str
    external_id: str
    payload: str
    job_id: UUID


# The events of one request, and its trace.
_Told = tuple[Sequence[_Row], str | None]


@cache
def readers_of(settings: NotifySettings) -> Mapping[str, WebhookReader]:
    """The providers whose webhooks this process can check. One without its secret is not among them."""
    readers: dict[str, WebhookReader] = {}
    if secrets := _listed(settings.resend_webhook_secrets):
        readers[resend.NAME] = ResendWebhooks(secrets)
    if keys := _listed(settings.sendgrid_webhook_keys):
        readers[sendgrid.NAME] = SendGridWebhooks(keys)
    if tokens := [token for token in (settings.twilio_auth_token, settings.twilio_other_auth_token) if token]:
        readers[twilio.NAME] = TwilioWebhooks(settings.twilio_account_sid, tokens, settings.twilio_callback_url)
    return readers


async def receive(database: Database, settings: NotifySettings, provider: str, webhook: Webhook) -> str:
    """Stores what a webhook tells, and returns what the provider gets in return.

    Raises FailedPrecondition/WEBHOOK_NOT_SET_UP, PermissionDenied/SIGNATURE_INVALID or …/SIGNATURE_EXPIRED,
    InvalidArgument/EVENT_MALFORMED.
    """
    reader = readers_of(settings).get(provider)
    if reader is None:
        raise FailedPrecondition("webhooks of this provider are not set up", reason="WEBHOOK_NOT_SET_UP")
    rows: list[_Row] = []
    for number, event in enumerate(reader.open(webhook)):
        job = new_id() if number % _CHUNK == 0 else rows[-1].job_id
        external_id, payload = _storable(event.external_id)[:_LONGEST_ID], _storable(event.payload)
        rows.append(_Row(new_id(), provider, event.account, external_id, json.dumps(payload), job))
    if rows:
        await _intake_of(database).ask((rows, current_traceparent()))
    return reader.answer(webhook)


@cache
def _intake_of(database: Database) -> Batches[_Told, None]:
    """What is told at the same moment is stored in one statement and one commit."""

    async def store(batch: Sequence[_Told]) -> Sequence[None]:
        rows = [(*row, traceparent) for told, traceparent in batch for row in told]
        await database.queue(_STORE, APPLY_JOB, real_now(), database.clock.now(), *map(list, zip(*rows, strict=True)))
        return [None] * len(batch)

    return Batches(store, lambda _: ())


async def apply(database: Database, settings: NotifySettings, event_ids: Sequence[UUID]) -> int:
    """Does what follows from events, each in a transaction of its own and once. How many of them failed."""
    async with database.transaction() as tx:
        query = select(ProviderEvent).where(ProviderEvent.id.in_(event_ids), ProviderEvent.apply_time.is_(None))
        events = (await tx.session.scalars(query.order_by(ProviderEvent.id))).all()
    failed = 0
    for event in events:
        try:
            await _apply_one(database, settings, event)
        except Exception as error:
            # The others shall not wait for it.
            log.error("provider_event_failed", event_id=str(event.id), provider=event.provider, exc_info=error)
            failed += 1
    return failed


async def forget(database: Database) -> None:
    """Empties what is older than PAYLOAD_KEPT and deletes what is older than KEPT."""
    now = real_now()
    async with database.transaction() as tx:
        old = (ProviderEvent.create_time < now - PAYLOAD_KEPT, ProviderEvent.payload != {})
        await tx.session.execute(update(ProviderEvent).where(*old).values(payload={}))
        await tx.session.execute(delete(ProviderEvent).where(ProviderEvent.create_time < now - KEPT))


async def _apply_one(database: Database, settings: NotifySettings, event: ProviderEvent) -> None:
    news = readers_of(settings)[event.provider].read(event.payload)
    studio = await _studio_of(database, news)
    async with database.transaction(*([studio] if studio else [])) as tx:
        if not await _take(tx, event.id) or studio is None:
            return
        if isinstance(news, InboundSms):
            await _apply_inbound(tx, news, event.create_time)
        elif news is not None:
            await _apply_news(tx, event.provider, news, event.create_time)


async def _studio_of(database: Database, news: News | None) -> UUID | None:
    """Whose event it is; None for one that is about no message of ours and came to no number of ours."""
    if isinstance(news, InboundSms):
        async with database.transaction() as tx:
            return await senders.studio_of(tx, news.to)
    parsed = parse_key(news.key) if news else None
    return parsed[0] if parsed else None


async def _take(tx: UnitOfWork, event_id: UUID) -> bool:
    """Marks an event as applied; False when that was done meanwhile."""
    open_still = (ProviderEvent.id == event_id, ProviderEvent.apply_time.is_(None))
    taken = update(ProviderEvent).where(*open_still).values(apply_time=real_now()).returning(ProviderEvent.id)
    return await tx.session.scalar(taken) is not None


async def _apply_news(tx: UnitOfWork, provider: str, news: DeliveryNews, told: datetime) -> None:
    parsed, at = parse_key(news.key), news.at or told
    assert parsed
    await deliveries.report(
        tx,
        provider=provider,
        provider_message_id=news.provider_message_id,
        delivery_id=parsed[1],
        outcome=news.outcome,
        reason=news.reason,
        at=at,
    )
    channel = Channel.SMS if provider == twilio.NAME else Channel.EMAIL
    if news.dead_address:
        await suppressions.put(tx, channel, news.dead_address, suppressions.Reason.BOUNCED, at=at)
    if news.unwilling_address:
        complained = news.outcome == Outcome.COMPLAINED
        source = consent.Source.COMPLAINT if complained else consent.Source.UNSUBSCRIBE
        await consent.record(tx, channel=channel, address=news.unwilling_address, granted=False, source=source, at=at)


async def _apply_inbound(tx: UnitOfWork, sms: InboundSms, told: datetime) -> None:
    if sms.granted is None:
        return
    source = consent.Source.START if sms.granted else consent.Source.STOP
    await consent.record(tx, channel=Channel.SMS, address=sms.sender, granted=sms.granted, source=source, at=told)


def _storable(value: Any) -> Any:
    """What PostgreSQL's text can hold: people may send NUL, and JSON half of a character."""
    if isinstance(value, str):
        return value.replace("\0", "").encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {_storable(name): _storable(each) for name, each in value.items()}
    return [_storable(each) for each in value] if isinstance(value, list) else value


def _listed(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]
