"""What notify does with the events of others: plan deliveries."""

from datetime import UTC, timedelta
from uuid import UUID

from powerhouse.booking.v1.booking_pb2 import Booking, Fee
from powerhouse.booking.v1.events_pb2 import (
    BookingChanged,
    ClassChanged,
    ClientErased,
    ClientMergeChanged,
    ClientsDisplaced,
    FeeChanged,
    WaitlistEntryChanged,
)
from powerhouse.booking.v1.waitlist_pb2 import WaitlistEntry
from powerhouse.identity.v1.events_pb2 import InvitationCreated, PasswordResetRequested
from powerhouse.payments.v1.events_pb2 import (
    FeeChargeDeclined,
    GiftCardSendRequested,
    MembershipChanged,
    PaymentDisputed,
    PurchaseReturned,
    ReceiptIssued,
)
from powerhouse.payments.v1.receipt_service_pb2 import Receipt
from powerhouse.scheduling.v1.events_pb2 import GenerationRunFinished, StudioChanged
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.messaging.consumers import Consumers, Event
from services.chassis.rpc.codec import from_timestamp
from services.notify import (
    class_changes,
    deliveries,
    dispute_alerts,
    generation_summaries,
    membership_news,
    merged_preferences,
    preferences,
    push_subscriptions,
    reminders,
    senders,
)
from services.notify.client_merges import MergeState
from services.notify.deliveries import Plan
from services.notify.models import Channel, Kind
from services.notify.reminders import BookingState

consumers = Consumers()


@consumers.on(BookingChanged)
async def follow_booking(tx: UnitOfWork, event: Event[BookingChanged]) -> None:
    """A booking that holds a place is confirmed once; its reminders follow each change.

    Whether it still holds the place is asked again when a message is sent. A place from the waitlist is confirmed by
    the news of it; who brings guests is reminded once.
    """
    told = event.payload
    confirmed = told.state == Booking.CONFIRMED
    booking_id, client_id = UUID(told.booking_id), UUID(told.client_id)
    session_id, start = UUID(told.class_session_id), told.start_time.ToDatetime(tzinfo=UTC)
    if confirmed and not told.promoted:
        await deliveries.plan(
            tx,
            Plan(
                kind=Kind.BOOKING_CONFIRMATION,
                channel=Channel.EMAIL,
                subject_id=booking_id,
                client_id=client_id,
                booking_id=booking_id,
                class_session_id=session_id,
                useful_until=start,
            ),
        )
    # Events of before these facts travelled with them tell of no reminders.
    if told.guest or not told.time_zone:
        return
    await reminders.follow(
        tx,
        BookingState(
            id=booking_id,
            version=event.version,
            client_id=client_id,
            class_session_id=session_id,
            class_type_id=UUID(told.class_type_id),
            confirmed=confirmed,
            start_time=start,
            time_zone=told.time_zone,
            time_version=told.time_version,
            change_time=told.change_time.ToDatetime(tzinfo=UTC),
        ),
    )


@consumers.on(ClassChanged)
async def announce_change(tx: UnitOfWork, event: Event[ClassChanged]) -> None:
    """Everybody who has a place is told what is different, or that there will be no class."""
    await class_changes.announce(tx, event.payload)


@consumers.on(ClientsDisplaced)
async def tell_displaced(tx: UnitOfWork, event: Event[ClientsDisplaced]) -> None:
    """A class has fewer places; who has lost theirs is told."""
    await class_changes.tell_displaced(tx, event.payload)


@consumers.on(WaitlistEntryChanged)
async def tell_who_waits(tx: UnitOfWork, event: Event[WaitlistEntryChanged]) -> None:
    """Who waits is told of a place, or of the offer of one."""
    told = event.payload
    if told.state == WaitlistEntry.PROMOTED and told.booking_id:
        booking_id = UUID(told.booking_id)
        kind, subject_id, version, until = Kind.WAITLIST_PROMOTED, booking_id, 0, None
    elif told.state == WaitlistEntry.OFFERED:
        booking_id, kind, subject_id = None, Kind.WAITLIST_OFFER, UUID(told.waitlist_entry_id)
        version, until = told.version, from_timestamp(told, "offer_expire_time")
    else:
        return
    client_id = UUID(told.client_id)
    await deliveries.plan(
        tx,
        *(
            Plan(
                kind=kind,
                channel=channel,
                subject_id=subject_id,
                time_version=version,
                client_id=client_id,
                booking_id=booking_id,
                class_session_id=UUID(told.class_session_id),
                useful_until=until,
            )
            for channel in await push_subscriptions.channels_to(tx, kind, client_id)
        ),
    )


# A fee is charged within seconds where the client has kept a card. What comes of that is told by a mail of its own, so
# the mail that a fee is due waits until it is known whether it is needed.
_CARD_FIRST = timedelta(minutes=1)


@consumers.on(FeeChanged)
async def tell_of_fee(tx: UnitOfWork, event: Event[FeeChanged]) -> None:
    """Who owes a fee reads of it; whether it is still due, and no card was tried, is asked when the mail is sent."""
    told = event.payload
    if told.state == Fee.DUE:
        fee = Plan(
            kind=Kind.FEE_DUE,
            channel=Channel.EMAIL,
            subject_id=UUID(told.fee_id),
            client_id=UUID(told.client_id),
            booking_id=UUID(told.booking_id),
            due_time=tx.now() + _CARD_FIRST,
        )
        await deliveries.plan(tx, fee)


@consumers.on(ReceiptIssued)
async def send_receipt(tx: UnitOfWork, event: Event[ReceiptIssued]) -> None:
    """Who paid, or got money back, reads of it. Of a refund that failed later the studio itself tells its client."""
    told = event.payload
    if told.kind == Receipt.CREDIT_NOTE_REVERSAL:
        return
    receipt = Plan(
        kind=Kind.RECEIPT,
        channel=Channel.EMAIL,
        subject_id=UUID(told.receipt_id),
        client_id=UUID(told.client_id),
        args={
            "purchase": told.purchase_id,
            "refunded": told.kind == Receipt.CREDIT_NOTE,
            "number": told.number,
            "description": told.description,
            "amount_minor": told.total_minor,
            "currency_code": told.currency_code,
            "time": told.create_time.ToDatetime(tzinfo=UTC).isoformat(),
        },
    )
    await deliveries.plan(tx, receipt)


@consumers.on(GiftCardSendRequested)
async def send_gift_card(tx: UnitOfWork, event: Event[GiftCardSendRequested]) -> None:
    """Somebody is sent a gift card, on its day; whether that is still wanted is asked when the mail is sent."""
    told = event.payload
    card = Plan(
        kind=Kind.GIFT_CARD,
        channel=Channel.EMAIL,
        subject_id=UUID(told.gift_card_id),
        time_version=told.number,
        args={"account": told.account_id},
        due_time=told.due_time.ToDatetime(tzinfo=UTC),
    )
    await deliveries.plan(tx, card)


@consumers.on(FeeChargeDeclined)
async def tell_of_declined_fee(tx: UnitOfWork, event: Event[FeeChargeDeclined]) -> None:
    """Who owes a fee reads that a card did not pay it: at the first decline, and when the card is not tried any more.

    The tries between say nothing that the first mail has not said: when it is tried again, and how to pay at once.
    """
    told, kind = event.payload, Kind.FEE_DECLINED
    client_id = UUID(told.client_id)
    await deliveries.plan(
        tx,
        *(
            Plan(
                kind=kind,
                channel=channel,
                subject_id=UUID(told.purchase_id),
                time_version=int(told.last),
                client_id=client_id,
                args={"fee": told.fee_id, "last": told.last},
            )
            for channel in await push_subscriptions.channels_to(tx, kind, client_id)
        ),
    )


@consumers.on(MembershipChanged)
async def tell_of_membership(tx: UnitOfWork, event: Event[MembershipChanged]) -> None:
    """A member reads what has become of the membership."""
    await membership_news.follow(tx, event.payload, event.version)


# Why money goes back by a client's own act, or by the studio's: a credit note tells that.
_WANTED_BACK = ("CANCELLED", "WAIVED", "VOID")


@consumers.on(PurchaseReturned)
async def tell_of_lost_place(tx: UnitOfWork, event: Event[PurchaseReturned]) -> None:
    """Who paid and could not have it hears that the place is gone, and that the money goes back."""
    told = event.payload
    if told.reason in _WANTED_BACK:
        return
    client_id = UUID(told.client_id)
    await deliveries.plan(
        tx,
        *(
            Plan(kind=Kind.PURCHASE_RETURNED, channel=channel, subject_id=UUID(told.purchase_id), client_id=client_id)
            for channel in await push_subscriptions.channels_to(tx, Kind.PURCHASE_RETURNED, client_id)
        ),
    )


@consumers.on(PaymentDisputed)
async def tell_of_dispute(tx: UnitOfWork, event: Event[PaymentDisputed]) -> None:
    """A client's bank takes a payment back, or has decided about it; the owners are told."""
    await dispute_alerts.follow(tx, event.payload)


@consumers.on(InvitationCreated)
async def send_invitation(tx: UnitOfWork, event: Event[InvitationCreated]) -> None:
    """Someone was invited to a role."""
    subject_id = UUID(event.payload.invitation_id)
    await deliveries.plan(tx, Plan(kind=Kind.INVITATION, channel=Channel.EMAIL, subject_id=subject_id))


@consumers.on(PasswordResetRequested)
async def send_password_link(tx: UnitOfWork, event: Event[PasswordResetRequested]) -> None:
    """Someone forgot a password; of no studio."""
    subject_id = UUID(event.payload.password_reset_id)
    await deliveries.plan(tx, Plan(kind=Kind.PASSWORD_RESET, channel=Channel.EMAIL, subject_id=subject_id))


@consumers.on(StudioChanged)
async def know_studio(tx: UnitOfWork, event: Event[StudioChanged]) -> None:
    """A studio has another name or zone, or is new."""
    studio = event.payload
    await senders.put_studio(tx, version=studio.version, display_name=studio.display_name, time_zone=studio.time_zone)


@consumers.on(GenerationRunFinished)
async def tell_of_generation(tx: UnitOfWork, event: Event[GenerationRunFinished]) -> None:
    """Classes were made from schedules; the owners are told what came of it."""
    await generation_summaries.follow(tx, event.payload)


@consumers.on(ClientErased)
async def forget_client(tx: UnitOfWork, event: Event[ClientErased]) -> None:
    """What a person wanted who was erased is forgotten; that they agreed, or took it back, stays under a bare id."""
    await preferences.forget(tx, UUID(event.payload.client_id))


@consumers.on(ClientMergeChanged)
async def follow_merge(tx: UnitOfWork, event: Event[ClientMergeChanged]) -> None:
    """Two clients are one person, or are not after all: what they want to be sent follows."""
    told = event.payload
    state = MergeState(
        id=UUID(told.client_merge_id),
        version=event.version,
        survivor_id=UUID(told.survivor_id),
        duplicate_id=UUID(told.duplicate_id),
        undone=told.undone,
    )
    await merged_preferences.follow(tx, state)
