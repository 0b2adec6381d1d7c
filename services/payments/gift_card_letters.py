"""Letters: mails by which a gift card is sent to somebody, at once or on a day.

A card has one letter, the latest; the card counts them, so that it is a gift and no way to write to many. Its code is
settled when the letter is handed over to be mailed, and is the one that was shown before, if one was. What was handed
over may have reached somebody, so a letter after it brings another code. To whom and in which words lies here alone,
until the buyer is erased, or for 90 days after it was due. Whoever touches a letter locks its card first.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, time, timedelta
from uuid import UUID
from zoneinfo import ZoneInfo

from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from powerhouse.payments.v1.events_pb2 import GiftCardSendRequested
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, InvalidArgument
from services.chassis.rpc.codec import to_timestamp
from services.payments import gift_cards, letterheads
from services.payments.gift_card_codes import Codes
from services.payments.models import GiftCard, GiftCardLetter, Purchase

FORGET_JOB = "forget_gift_card_letter"
# Of one card. A CHECK says the same.
MOST = 5
# When the mail leaves on a day that was chosen, in the studio's zone, and how far away that day may be.
HOUR, FARTHEST = time(9), timedelta(days=366)
KEPT = timedelta(days=90)


@dataclass(frozen=True)
class Words:
    """What the buyer says of a letter."""

    recipient_email: str
    recipient_display_name: str
    sender_display_name: str
    message: str
    language: str
    # None is at once.
    send_date: date | None


async def send(tx: UnitOfWork, codes: Codes, card_id: UUID, account: UUID | None, words: Words) -> GiftCard:
    """Plans a letter, in place of one that has not left.

    Raises as `gift_cards.get`, as `gift_cards.worth` on the day, FailedPrecondition/TOO_MANY_LETTERS,
    InvalidArgument/DATE_OUT_OF_RANGE.
    """
    card = await gift_cards.lock(tx, card_id, account)
    due = await _due_time(tx, words.send_date)
    await gift_cards.worth(tx, card, due)
    if card.letter_count == MOST:
        raise FailedPrecondition("the gift card was sent often enough", reason="TOO_MANY_LETTERS")
    if card.mailed_version is not None and card.mailed_version == card.code_version:
        gift_cards.renew_code(tx, card, codes)
    card.letter_count += 1
    card.touch(tx.now())
    facts = {"number": card.letter_count, "due_time": due, "hand_over_time": None, "amount_minor": None}
    row = insert(GiftCardLetter).values(tenant_id=tx.tenant, gift_card_id=card.id, **asdict(words), **facts)
    await tx.session.execute(
        row.on_conflict_do_update(index_elements=["tenant_id", "gift_card_id"], set_=asdict(words) | facts)
    )
    event = GiftCardSendRequested(
        gift_card_id=str(card.id),
        number=card.letter_count,
        account_id=str(card.account_id or ""),
        due_time=to_timestamp(due),
    )
    await tx.publish(event, aggregate="gift_card", aggregate_id=card.id, version=card.version)
    args = {"gift_card": str(card.id), "number": card.letter_count}
    await tx.enqueue(FORGET_JOB, f"{card.id} {card.letter_count}", due_at=due + KEPT, args=args)
    return card


async def cancel(tx: UnitOfWork, card_id: UUID, account: UUID | None) -> GiftCard:
    """Takes the letter back that waits. Raises as `gift_cards.get`, FailedPrecondition with NO_LETTER, LETTER_LEFT."""
    card = await gift_cards.lock(tx, card_id, account)
    letter = await _of(tx, card.id)
    if letter is None:
        raise FailedPrecondition("the gift card waits for no letter", reason="NO_LETTER")
    if letter.hand_over_time is not None:
        raise FailedPrecondition("the letter has left already", reason="LETTER_LEFT")
    await tx.session.delete(letter)
    card.touch(tx.now())
    return card


async def take(tx: UnitOfWork, codes: Codes, card_id: UUID, number: int) -> tuple[GiftCard, GiftCardLetter, str]:
    """A letter that is about to be mailed, with its card and code: the same each time.

    Raises FailedPrecondition with LETTER_WITHDRAWN, CODE_RENEWED, as `gift_cards.worth`.
    """
    card = await tx.session.get(GiftCard, (tx.tenant, card_id), with_for_update=True)
    letter = await _of(tx, card_id)
    if card is None or letter is None or letter.number != number:
        raise FailedPrecondition("the letter was cancelled or replaced", reason="LETTER_WITHDRAWN")
    left = await gift_cards.worth(tx, card, tx.now())
    code = gift_cards.code_of(tx, card, codes)
    if letter.hand_over_time is None:
        card.mailed_version, letter.hand_over_time, letter.amount_minor = card.code_version, tx.now(), left
        card.touch(tx.now())
    elif card.mailed_version != card.code_version:
        raise FailedPrecondition("the card has another code by now", reason="CODE_RENEWED")
    return card, letter, code


async def of_cards(tx: UnitOfWork, cards: Sequence[GiftCard]) -> dict[UUID, GiftCardLetter]:
    """The letters of cards, by the cards' ids."""
    query = select(GiftCardLetter).where(
        GiftCardLetter.tenant_id == tx.tenant, GiftCardLetter.gift_card_id.in_([card.id for card in cards])
    )
    return {letter.gift_card_id: letter for letter in await tx.session.scalars(query)}


async def forget(tx: UnitOfWork, card_id: UUID, number: int) -> None:
    """A letter that has long been there, unless another came after it."""
    mine = (GiftCardLetter.tenant_id == tx.tenant, GiftCardLetter.gift_card_id == card_id)
    await tx.session.execute(delete(GiftCardLetter).where(*mine, GiftCardLetter.number == number))


async def forget_client(tx: UnitOfWork, client_id: UUID) -> None:
    """Of a client who was erased: what it wrote, and to whom. What waits is not sent any more; the money stays."""
    theirs = (
        select(GiftCard.id)
        .join(Purchase, (Purchase.tenant_id == GiftCard.tenant_id) & (Purchase.id == GiftCard.purchase_id))
        .where(GiftCard.tenant_id == tx.tenant, Purchase.client_id == client_id)
    )
    mine = (GiftCardLetter.tenant_id == tx.tenant, GiftCardLetter.gift_card_id.in_(theirs))
    await tx.session.execute(delete(GiftCardLetter).where(*mine))


async def _of(tx: UnitOfWork, card_id: UUID) -> GiftCardLetter | None:
    return await tx.session.get(GiftCardLetter, (tx.tenant, card_id))


async def _due_time(tx: UnitOfWork, day: date | None) -> datetime:
    if day is None:
        return tx.now()
    zone = ZoneInfo((await letterheads.issuer(tx)).time_zone)
    today = tx.now().astimezone(zone).date()
    if not today <= day <= today + FARTHEST:
        raise InvalidArgument("letter.send_date", "must be today or within a year", reason="DATE_OUT_OF_RANGE")
    return max(tx.now(), datetime.combine(day, HOUR, zone).astimezone(UTC))
