"""Push subscriptions: the browsers in which people read what the clients are sent for whom their account acts.

A browser is one person's: who subscribes it next takes it over. Its address and keys are of use to us alone, since push
services want our signature; still nobody but its own account is shown them.
"""

from base64 import urlsafe_b64decode
from collections.abc import Collection, Sequence
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import ColumnElement, delete, select
from sqlalchemy.dialects.postgresql import insert

from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, InvalidArgument, NotFound
from services.chassis.ids import new_id
from services.notify import consent, template_variables
from services.notify.consent import Source
from services.notify.models import Channel, Kind, PushSubscription
from services.notify.providers.push import PushProvider, Subscription

# Of one client; the oldest end.
MOST = 10
_AUTH_BYTES = 16
_ALL_KINDS = "*"


def check(to: Subscription, provider: PushProvider | None) -> None:
    """Raises FailedPrecondition PUSH_NOT_SET_UP, InvalidArgument UNKNOWN_PUSH_SERVICE or INVALID_PUSH_KEYS."""
    if provider is None:
        raise FailedPrecondition("push messages are not set up here", reason="PUSH_NOT_SET_UP")
    if not provider.reaches(to.endpoint):
        message = "is of no push service that we know"
        raise InvalidArgument("push_subscription.endpoint", message, reason="UNKNOWN_PUSH_SERVICE")
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), _decoded(to.p256dh))
    except ValueError:
        message = "is not the key of a browser"
        raise InvalidArgument("push_subscription.p256dh", message, reason="INVALID_PUSH_KEYS") from None
    try:
        whole = len(_decoded(to.auth)) == _AUTH_BYTES
    except ValueError:
        whole = False
    if not whole:
        message = "is not the secret of a browser"
        raise InvalidArgument("push_subscription.auth", message, reason="INVALID_PUSH_KEYS")


async def add(
    tx: UnitOfWork, client_id: UUID, account_id: UUID, to: Subscription, *, principal: str
) -> PushSubscription:
    """From now on this browser shows what the client is sent; again changes nothing."""
    table, mine = PushSubscription, PushSubscription.tenant_id == tx.tenant
    await tx.session.execute(delete(table).where(mine, table.endpoint == to.endpoint, table.account_id != account_id))
    row = insert(table).values(
        tenant_id=tx.tenant,
        id=new_id(),
        client_id=client_id,
        account_id=account_id,
        endpoint=to.endpoint,
        p256dh=to.p256dh,
        auth=to.auth,
        create_time=tx.now(),
    )
    once = row.on_conflict_do_nothing(constraint="uq_push_subscriptions_once").returning(table)
    fresh: PushSubscription | None = await tx.session.scalar(once)
    if fresh is not None:
        await _record(tx, client_id, granted=True, principal=principal)
        oldest = select(table.id).where(mine, table.client_id == client_id).order_by(table.id.desc()).offset(MOST)
        await tx.session.execute(delete(table).where(mine, table.id.in_(oldest)))
        return fresh
    same = (mine, table.endpoint == to.endpoint, table.client_id == client_id)
    known = (await tx.session.scalars(select(table).where(*same).with_for_update())).one()
    known.p256dh, known.auth = to.p256dh, to.auth
    return known


async def remove(
    tx: UnitOfWork, subscription_id: UUID, client_id: UUID, account_id: UUID, *, principal: str
) -> PushSubscription:
    """The browser's own account ends it. Raises NotFound, also for one of another account."""
    table = PushSubscription
    query = delete(table).where(*_own(tx, client_id, account_id), table.id == subscription_id).returning(table)
    row: PushSubscription | None = await tx.session.scalar(query)
    if row is None:
        raise NotFound("push_subscription")
    await _record(tx, client_id, granted=False, principal=principal)
    return row


async def list_newest(tx: UnitOfWork, page: Page, client_id: UUID, account_id: UUID) -> Sequence[PushSubscription]:
    """Those of a client that an account has made, newest first."""
    table = PushSubscription
    query = select(table).where(*_own(tx, client_id, account_id))
    if page.after:
        query = query.where(table.id < page.after[0])
    return (await tx.session.scalars(query.order_by(table.id.desc()).limit(page.limit))).all()


async def listening(tx: UnitOfWork, client_ids: Collection[UUID]) -> set[UUID]:
    """Those of the clients of whom a browser shows what they are sent."""
    table = PushSubscription
    query = select(table.client_id).where(table.tenant_id == tx.tenant, table.client_id.in_(client_ids))
    return set(await tx.session.scalars(query.distinct()))


async def channels_to(tx: UnitOfWork, kind: Kind, client_id: UUID) -> list[Channel]:
    """By which news of this kind travels: push only where a browser of the client listens."""
    listens = bool(await listening(tx, [client_id]))
    return [channel for channel in template_variables.channels(kind) if channel != Channel.PUSH or listens]


async def browsers(tx: UnitOfWork, client_id: UUID, account_id: UUID) -> dict[UUID, Subscription]:
    """Where a client is shown what it is sent, by the subscription's id: only where who acts for it today sits."""
    query = select(PushSubscription).where(*_own(tx, client_id, account_id))
    return {row.id: Subscription(row.endpoint, row.p256dh, row.auth) for row in await tx.session.scalars(query)}


async def forget(tx: UnitOfWork, subscription_ids: Collection[UUID]) -> None:
    """These browsers listen no more."""
    table = PushSubscription
    await tx.session.execute(delete(table).where(table.tenant_id == tx.tenant, table.id.in_(subscription_ids)))


def _own(tx: UnitOfWork, client_id: UUID, account_id: UUID) -> tuple[ColumnElement[bool], ...]:
    """Of a client, and of no account but this one."""
    table = PushSubscription
    return table.tenant_id == tx.tenant, table.client_id == client_id, table.account_id == account_id


async def _record(tx: UnitOfWork, client_id: UUID, *, granted: bool, principal: str) -> None:
    await consent.add(
        tx,
        client_id=client_id,
        kind=_ALL_KINDS,
        channel=Channel.PUSH,
        granted=granted,
        source=Source.CLIENT,
        principal=principal,
    )


def _decoded(text: str) -> bytes:
    """Raises ValueError."""
    return urlsafe_b64decode(text.rstrip("=").encode("ascii") + b"=" * (-len(text.rstrip("=")) % 4))
