"""Whom a message goes to and whether it still should: asked of booking for many deliveries at once, as they leave."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import cast
from uuid import UUID

import grpc

from powerhouse.booking.v1 import booking_service_pb2
from powerhouse.booking.v1.booking_service_pb2 import BatchGetRecipientsRequest, BatchGetRecipientsResponse
from powerhouse.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from services.chassis.db.batches import Batches
from services.chassis.resources import Resources
from services.notify import preferences, stationery, suppressions
from services.notify.models import Channel
from services.notify.preferences import Preferences
from services.notify.settings import NotifySettings
from services.notify.stationery import Stationery

Recipient = BatchGetRecipientsResponse.Recipient

# That booking answers in one call, of each kind.
MOST = 100


@dataclass(frozen=True)
class Subject:
    """What a message is about: one of these, of a studio."""

    tenant: UUID
    booking_id: UUID | None = None
    waitlist_entry_id: UUID | None = None
    fee_id: UUID | None = None
    client_id: UUID | None = None


@dataclass(frozen=True)
class Addressee:
    """A person to be written to, what about, and what this person wants."""

    recipient: Recipient
    preferences: Preferences
    # Why an address of this person is not written to, by channel.
    suppressed: dict[Channel, str]
    # Of the studio.
    stationery: Stationery


# What came of asking: nobody when booking does not know the subject, or why it could not be asked.
Answer = Addressee | grpc.aio.AioRpcError | None


@dataclass
class Recipients:
    """The questions of one process."""

    work: Resources
    _asks: "Batches[Subject, Answer]" = field(init=False)

    def __post_init__(self) -> None:
        self._asks = Batches(self._ask_all, lambda _: ())

    async def of(self, subject: Subject) -> Addressee | None:
        """None when booking does not know the subject. Raises AioRpcError when it cannot be asked."""
        answer = await self._asks.ask(subject)
        if isinstance(answer, grpc.aio.AioRpcError):
            raise answer
        return answer

    async def _ask_all(self, subjects: Sequence[Subject]) -> Sequence[Answer]:
        answers: dict[Subject, Answer] = {}
        questions = []
        for _, group in groupby(sorted(set(subjects), key=_by_studio), key=_by_studio):
            of_studio = list(group)
            questions += [self._ask(of_studio[n : n + MOST]) for n in range(0, len(of_studio), MOST)]
        for answered in await asyncio.gather(*questions):
            answers |= answered
        return [answers.get(subject) for subject in subjects]

    async def _ask(self, subjects: Sequence[Subject]) -> Mapping[Subject, Answer]:
        """Of one studio; the call to booking is over before the transaction begins."""
        tenant = subjects[0].tenant
        booking = self.work.stubs.get(
            BookingServiceStub, booking_service_pb2.DESCRIPTOR.services_by_name["BookingService"], "booking"
        )
        request = BatchGetRecipientsRequest(
            parent=f"studios/{tenant}",
            booking_ids=[str(subject.booking_id) for subject in subjects if subject.booking_id],
            waitlist_entry_ids=[str(subject.waitlist_entry_id) for subject in subjects if subject.waitlist_entry_id],
            fee_ids=[str(subject.fee_id) for subject in subjects if subject.fee_id],
            client_ids=[str(subject.client_id) for subject in subjects if subject.client_id],
        )
        try:
            found = (await booking.BatchGetRecipients(request)).recipients
        except grpc.aio.AioRpcError as error:
            return dict.fromkeys(subjects, error)
        async with self.work.database.transaction(tenant) as tx:
            wanted = await preferences.load(tx, {UUID(recipient.client_id) for recipient in found})
            mails = await suppressions.find(tx, Channel.EMAIL, {recipient.email for recipient in found})
            texts = await suppressions.find(tx, Channel.SMS, {recipient.phone for recipient in found})
            paper = await stationery.load(tx, cast(NotifySettings, self.work.settings).mail_from)
        answers: dict[Subject, Answer] = {}
        for recipient in found:
            why = {Channel.EMAIL: mails.get(recipient.email), Channel.SMS: texts.get(recipient.phone)}
            answers[_subject_of(tenant, recipient)] = Addressee(
                recipient,
                wanted[UUID(recipient.client_id)],
                {channel: reason for channel, reason in why.items() if reason},
                paper,
            )
        return answers


def _subject_of(tenant: UUID, recipient: Recipient) -> Subject:
    """What was asked about, by what was answered."""
    if recipient.fee_id:
        return Subject(tenant, fee_id=UUID(recipient.fee_id))
    if recipient.waitlist_entry_id:
        return Subject(tenant, waitlist_entry_id=UUID(recipient.waitlist_entry_id))
    if recipient.booking_id:
        return Subject(tenant, booking_id=UUID(recipient.booking_id))
    return Subject(tenant, client_id=UUID(recipient.client_id))


def _by_studio(subject: Subject) -> bytes:
    return subject.tenant.bytes
