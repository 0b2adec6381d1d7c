"""Gift cards: bought like anything else, they pay for purchases until nothing is left on them.

What is left on a card is its account in the ledger, which a trigger keeps from going below zero. Its code is made when
it is first shown or mailed; here is only the hash. It stays the same until another is wanted, and then ends. Whoever
lets a card pay, or changes its code, locks it first.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select, tuple_
from sqlalchemy.dialects.postgresql import insert

from services.chassis.clock import real_now
from services.chassis.db.database import Database
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, NotFound, PermissionDenied, ResourceExhausted
from services.chassis.ids import derived_id
from services.payments import ledger, quotes
from services.payments.gift_card_codes import Codes, hash_of
from services.payments.ledger import Move
from services.payments.models import GiftCard, GiftCardGuesses, LedgerAccount, Purchase, Terms
from services.payments.providers.chargeable_amounts import smallest

# Unknown codes of one client in a while, in real time.
MOST_GUESSES, WHILE = 10, timedelta(hours=1)


@dataclass(frozen=True)
class Paying:
    """A card that pays a part of something, what it pays, and what it keeps so that the rest can be charged."""

    card: GiftCard
    amount: int
    kept: int


async def look_up(database: Database, tenant: UUID, client_id: UUID, code: str) -> UUID:
    """The card of a code as somebody typed it. A wrong one counts, whatever becomes of the call.

    Raises FailedPrecondition/GIFT_CARD_UNKNOWN, ResourceExhausted/TOO_MANY_ATTEMPTS.
    """
    async with database.transaction(tenant) as tx:
        guesses = await _guesses(tx, client_id)
        if guesses.count >= MOST_GUESSES:
            wait = guesses.since + WHILE - real_now()
            raise ResourceExhausted(
                "too many wrong codes", reason="TOO_MANY_ATTEMPTS", retry_after=max(1, int(wait.total_seconds()))
            )
        query = select(GiftCard.id).where(GiftCard.tenant_id == tenant, GiftCard.code_hash == hash_of(code))
        card_id = await tx.session.scalar(query)
        if card_id is None:
            guesses.count += 1
    if card_id is None:
        raise FailedPrecondition("there is no such gift card", reason="GIFT_CARD_UNKNOWN")
    return card_id


async def paying(tx: UnitOfWork, card_id: UUID, total: int, *, lock: bool = False) -> Paying:
    """What a card would pay of a total; `lock` for who is about to let it. Raises as `worth`."""
    card = await tx.session.get_one(GiftCard, (tx.tenant, card_id), with_for_update=lock or None)
    left = await worth(tx, card, tx.now())
    amount = quotes.gift_share(total, left, smallest(card.currency_code))
    return Paying(card, amount, min(left, total) - amount)


async def worth(tx: UnitOfWork, card: GiftCard, when: datetime) -> int:
    """What a card can pay at an instant, if nothing is taken off it until then.

    Raises FailedPrecondition with GIFT_CARD_EXPIRED, GIFT_CARD_USED_UP.
    """
    if card.expire_time is not None and card.expire_time <= when:
        raise FailedPrecondition("the gift card has expired", reason="GIFT_CARD_EXPIRED")
    left = await balance(tx, card)
    if not left:
        raise FailedPrecondition("nothing is left on the gift card", reason="GIFT_CARD_USED_UP")
    return left


async def hold(tx: UnitOfWork, purchase: Purchase) -> None:
    """What the card pays is the purchase's from now on, under the card's lock; it is given back if that is given up."""
    move = Move(ledger.GIFT_CARD, ledger.DEFERRED, purchase.gift_minor, "gift_paid", purchase.gift_card_id, purchase.id)
    await ledger.post(tx, f"gift {purchase.id}", purchase.currency_code, [move])


async def let_go(tx: UnitOfWork, purchase: Purchase) -> None:
    """The purchase was given up."""
    amount, card_id = purchase.gift_minor, purchase.gift_card_id
    move = Move(ledger.DEFERRED, ledger.GIFT_CARD, amount, "gift_let_go", purchase.id, card_id)
    await ledger.post(tx, f"gift {purchase.id}", purchase.currency_code, [move])


async def make(tx: UnitOfWork, purchase: Purchase, terms: Terms) -> GiftCard:
    """The card of a purchase that is paid, under the purchase's lock; the same again is the same card.

    It is worth its price: what a promo code took off, the studio gives.
    """
    made_id = card_id(purchase)
    expire_time = tx.now() + timedelta(days=terms.valid_days) if terms.valid_days else None
    row = insert(GiftCard).values(
        tenant_id=tx.tenant,
        id=made_id,
        purchase_id=purchase.id,
        account_id=purchase.account_id,
        code_hash=None,
        code_version=0,
        code_end="",
        letter_count=0,
        amount_minor=purchase.price_minor,
        currency_code=purchase.currency_code,
        expire_time=expire_time,
        version=1,
        create_time=tx.now(),
        update_time=tx.now(),
    )
    await tx.session.execute(row.on_conflict_do_nothing())
    moves = [
        Move(ledger.DEFERRED, ledger.GIFT_CARD, purchase.net_minor, "gift_sold", purchase.id, made_id),
        Move(ledger.REVENUE, ledger.GIFT_CARD, purchase.discount_minor, "gift_given", made_id),
    ]
    await ledger.post(tx, f"gift card {made_id}", purchase.currency_code, moves)
    return await tx.session.get_one(GiftCard, (tx.tenant, made_id))


def card_id(purchase: Purchase) -> UUID:
    """Of the card that a purchase becomes."""
    return derived_id(purchase.id, "gift card")


async def of_purchase(tx: UnitOfWork, purchase: Purchase) -> GiftCard:
    """The card that a purchase became."""
    return await tx.session.get_one(GiftCard, (tx.tenant, card_id(purchase)))


async def withhold(tx: UnitOfWork, purchase: Purchase, amount: int, source: str) -> None:
    """Takes off a card what its buyer gets back for it; below zero: puts it on again, since the buyer did not."""
    card = await of_purchase(tx, purchase)
    off = Move(ledger.GIFT_CARD, ledger.DEFERRED, amount, "gift_withheld", card.id, purchase.id)
    on = Move(ledger.DEFERRED, ledger.GIFT_CARD, -amount, "gift_restored", purchase.id, card.id)
    await ledger.post(tx, f"{source} card", purchase.currency_code, [off if amount > 0 else on])


def code_of(tx: UnitOfWork, card: GiftCard, codes: Codes) -> str:
    """The code of a card that is locked; its first one where it has none, or one that another secret made."""
    code = codes.code(card.id, card.code_version)
    return code if card.code_hash == hash_of(code) else renew_code(tx, card, codes)


def renew_code(tx: UnitOfWork, card: GiftCard, codes: Codes) -> str:
    """Another code for a card that is locked; the one before ends."""
    card.code_version += 1
    code = codes.code(card.id, card.code_version)
    card.code_hash, card.code_end = hash_of(code), code[-4:]
    card.touch(tx.now())
    return code


async def lock(tx: UnitOfWork, card_id: UUID, account: UUID | None) -> GiftCard:
    """A card to be changed. Raises as `get`."""
    await get(tx, card_id, account)
    return await tx.session.get_one(GiftCard, (tx.tenant, card_id), with_for_update=True, populate_existing=True)


async def get(tx: UnitOfWork, card_id: UUID, account: UUID | None) -> GiftCard:
    """A card; with `account` only one that it bought.

    Raises PermissionDenied for any other, known or not, when narrowed; else NotFound.
    """
    card = await tx.session.get(GiftCard, (tx.tenant, card_id))
    if account is not None and (card is None or card.account_id != account):
        raise PermissionDenied()
    if card is None:
        raise NotFound("gift_card")
    return card


async def list_latest(tx: UnitOfWork, page: Page, *, account: UUID | None) -> Sequence[GiftCard]:
    """Newest first: bought by one account, or all."""
    query = select(GiftCard).where(GiftCard.tenant_id == tx.tenant)
    if account is not None:
        query = query.where(GiftCard.account_id == account)
    if page.after:
        query = query.where(tuple_(GiftCard.create_time, GiftCard.id) < tuple(page.after))
    query = query.order_by(GiftCard.create_time.desc(), GiftCard.id.desc()).limit(page.limit)
    return (await tx.session.scalars(query)).all()


async def balance(tx: UnitOfWork, card: GiftCard) -> int:
    """What is left on it."""
    return (await balances(tx, [card]))[card.id]


async def balances(tx: UnitOfWork, cards: Sequence[GiftCard]) -> dict[UUID, int]:
    """What is left on cards, by their ids."""
    accounts = {ledger.account_id(tx.tenant, ledger.GIFT_CARD, card.currency_code, card.id): card.id for card in cards}
    query = select(LedgerAccount.id, LedgerAccount.balance_minor).where(
        LedgerAccount.tenant_id == tx.tenant, LedgerAccount.id.in_(accounts)
    )
    left = {accounts[account]: minor for account, minor in await tx.session.execute(query)}
    return {card.id: left.get(card.id, 0) for card in cards}


async def _guesses(tx: UnitOfWork, client_id: UUID) -> GiftCardGuesses:
    """The client's wrong codes of a while, locked: who guesses many at once is counted one by one."""
    none = insert(GiftCardGuesses).values(tenant_id=tx.tenant, client_id=client_id, count=0, since=real_now())
    await tx.session.execute(none.on_conflict_do_nothing())
    guesses = await tx.session.get_one(GiftCardGuesses, (tx.tenant, client_id), with_for_update=True)
    if guesses.since + WHILE <= real_now():
        guesses.count, guesses.since = 0, real_now()
    return guesses
