"""Clients: people who take classes at one studio. An account acts for its own client and for those linked to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from services.booking import changes, client_tags, phones, waivers
from services.booking.models import (
    CLIENT_EMAIL,
    CLIENT_SELF,
    Booking,
    Client,
    ClientMerge,
    ClientPackage,
    ClientTagLink,
    WaitlistEntry,
)
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import (
    Aborted,
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    check_etag,
)
from services.chassis.ids import new_id

_BORN_AFTER = date(1900, 1, 1)
_PHONES = ("phone", "emergency_contact_phone")
_NO_IDS = text("CAST('{}' AS uuid[])")


@dataclass(frozen=True)
class Profile:
    """A client, and what is shown beside it."""

    client: Client
    # In packages that have not expired.
    credits_left: int
    # Not for the client's own eyes.
    tag_ids: Sequence[UUID]
    must_sign_waiver: bool


async def create(tx: UnitOfWork, values: Mapping[str, object], tag_ids: Sequence[UUID] = ()) -> Profile:
    """Adds a client. The first client linked to an account is the person itself, further ones are its dependants.

    Raises AlreadyExists/CLIENT_EMAIL_TAKEN, InvalidArgument PHONE_INVALID, BIRTH_DATE_INVALID, NotFound for a tag.
    """
    await client_tags.lock(tx, tag_ids)
    acting = {} if "guardian_id" in values else await _acting(tx, values.get("account_id"))
    client = Client(
        tenant_id=tx.tenant,
        id=new_id(),
        create_time=tx.now(),
        update_time=tx.now(),
        **{"is_self": False, **_clean(tx, values), **acting},
    )
    tx.session.add(client)
    await flush(tx)
    await client_tags.put_on(tx, client.id, tag_ids)
    await changes.publish_client(tx, client)
    return await get(tx, client.id, None)


async def join(tx: UnitOfWork, account: UUID, values: Mapping[str, object]) -> Profile:
    """The client that the account is at this studio, made from `values` if it is none yet, also by two calls at once.

    Raises FailedPrecondition/ARCHIVED, and as `create`: an address proves nothing, so nobody is linked by it.
    """
    row = {
        **_clean(tx, values),
        "tenant_id": tx.tenant,
        "id": new_id(),
        "account_id": account,
        "is_self": True,
        "create_time": tx.now(),
        "update_time": tx.now(),
        "version": 1,
    }
    at_most_one = insert(Client).on_conflict_do_nothing(
        index_elements=["tenant_id", "account_id"], index_where=text("is_self")
    )
    if await find_self(tx, account) is None:
        try:
            await tx.session.execute(at_most_one, row)
        except IntegrityError as error:
            raise _translated(error) from None
    client = await find_self(tx, account)
    if client is None:
        raise NotFound("client")
    require_active(client)
    if client.id == row["id"]:
        await changes.publish_client(tx, client)
    return await get(tx, client.id, account)


async def get(tx: UnitOfWork, client_id: UUID, account: UUID | None) -> Profile:
    """A client, archived or not. `account` narrows to whom it acts for.

    Raises PermissionDenied for anybody else, known or not, when narrowed; else NotFound.
    """
    row = (await tx.session.execute(_profiles(tx, account).where(Client.id == client_id))).one_or_none()
    if account is not None and (row is None or row[0].account_id != account):
        raise PermissionDenied()
    if row is None:
        raise NotFound("client")
    return Profile(*row)


async def get_all(tx: UnitOfWork, client_ids: Sequence[UUID]) -> Sequence[Profile]:
    """These clients as staff see them, in this order; those that are not there are left out."""
    rows = await tx.session.execute(_profiles(tx, None).where(Client.id.in_(client_ids)))
    profiles = {row[0].id: Profile(*row) for row in rows}
    return [profiles[client_id] for client_id in client_ids if client_id in profiles]


async def list_by_name(
    tx: UnitOfWork, page: Page, account: UUID | None, *, tag_id: UUID | None, show_archived: bool
) -> Sequence[Profile]:
    """Clients by name: all, or those that `account` acts for. Raises PermissionDenied for a tag: they are for staff."""
    query = _profiles(tx, account)
    if tag_id is not None:
        if account is not None:
            raise PermissionDenied("tags are for staff")
        link = ClientTagLink
        bearers = select(link.client_id).where(link.tenant_id == tx.tenant, link.tag_id == tag_id)
        query = query.where(Client.id.in_(bearers))
    if account is not None:
        query = query.where(Client.account_id == account)
    if not show_archived:
        query = query.where(Client.archive_time.is_(None))
    if page.after:
        query = query.where(tuple_(Client.display_name, Client.id) > tuple(page.after))
    rows = await tx.session.execute(query.order_by(Client.display_name, Client.id).limit(page.limit))
    return [Profile(*row) for row in rows]


async def update(
    tx: UnitOfWork,
    client_id: UUID,
    values: Mapping[str, object],
    tag_ids: Sequence[UUID] | None,
    *,
    account: UUID | None,
    etag: str,
) -> Profile:
    """Changes fields of a client that `account` may act for, or any when None; its tags unless they are None.

    With another account its dependants change hands too. Raises PermissionDenied, NotFound, Aborted/ETAG_MISMATCH,
    FailedPrecondition ARCHIVED, HAS_DEPENDANTS, and as `create`.
    """
    client = await lock(tx, client_id, account)
    check_etag(etag, client.etag)
    require_active(client)
    values = _clean(tx, values)
    if "account_id" in values and values["account_id"] != client.account_id:
        tx.note_change("account_id", client.account_id, values["account_id"])
        values |= await _acting(tx, values["account_id"])
        if values["guardian_id"]:
            await require_no_dependants(tx, client)
        await _pass_on_account(tx, client, values["account_id"])
    if tag_ids is not None:
        await client_tags.put_on(tx, client_id, tag_ids)
    for field, value in values.items():
        setattr(client, field, value)
    return await changed(tx, client, account)


async def archive(tx: UnitOfWork, client_id: UUID, etag: str) -> Profile:
    """Hides a client, who cannot book from then on.

    Raises NotFound, Aborted/ETAG_MISMATCH, FailedPrecondition ARCHIVED, and STILL_IN_USE while it is booked on a class
    that is not over, or waits for one.
    """
    client = await lock(tx, client_id)
    check_etag(etag, client.etag)
    require_active(client)
    booked = select(Booking.id).where(
        Booking.tenant_id == tx.tenant,
        Booking.client_id == client_id,
        Booking.cancel_time.is_(None),
        Booking.end_time > tx.now(),
    )
    waits = select(WaitlistEntry.id).where(
        WaitlistEntry.tenant_id == tx.tenant,
        WaitlistEntry.client_id == client_id,
        WaitlistEntry.state.in_(("WAITING", "OFFERED")),
    )
    if await tx.session.scalar(booked.union_all(waits).limit(1)):
        raise FailedPrecondition("the client is booked on a class that is not over", reason="STILL_IN_USE")
    client.archive_time = tx.now()
    tx.note_change("archived", False, True)
    return await changed(tx, client)


async def restore(tx: UnitOfWork, client_id: UUID) -> Profile:
    """Brings an archived client back.

    Raises NotFound, FailedPrecondition NOT_ARCHIVED, MERGED, CLIENT_ERASED, AlreadyExists/CLIENT_EMAIL_TAKEN.
    """
    client = await lock(tx, client_id)
    if client.erase_time is not None:
        raise FailedPrecondition("the person was erased", reason="CLIENT_ERASED")
    if client.archive_time is None:
        raise FailedPrecondition("it is not archived", reason="NOT_ARCHIVED")
    merged = select(ClientMerge.id).where(
        ClientMerge.tenant_id == tx.tenant, ClientMerge.duplicate_id == client_id, ClientMerge.undo_time.is_(None)
    )
    if await tx.session.scalar(merged):
        raise FailedPrecondition("it was merged into another client; undo that", reason="MERGED")
    client.archive_time = None
    tx.note_change("archived", True, False)
    return await changed(tx, client)


async def lock(tx: UnitOfWork, client_id: UUID, account: UUID | None = None) -> Client:
    """The client, kept as it is for this transaction. Raises as `get`."""
    query = select(Client).where(Client.tenant_id == tx.tenant, Client.id == client_id)
    query = query.with_for_update().execution_options(populate_existing=True)
    client = (await tx.session.scalars(query)).one_or_none()
    if account is not None and (client is None or client.account_id != account):
        raise PermissionDenied()
    if client is None:
        raise NotFound("client")
    return client


async def changed(tx: UnitOfWork, client: Client, account: UUID | None = None) -> Profile:
    """Stores the changes of a locked client and tells of them; the client as `account` sees it. Raises as `flush`."""
    client.touch(tx.now())
    await flush(tx)
    await changes.publish_client(tx, client)
    return await get(tx, client.id, account)


async def find_self(tx: UnitOfWork, account: object) -> Client | None:
    """The client who is the person behind the account."""
    query = select(Client).where(Client.tenant_id == tx.tenant, Client.account_id == account, Client.is_self)
    return (await tx.session.scalars(query)).one_or_none()


async def flush(tx: UnitOfWork) -> None:
    """Raises AlreadyExists/CLIENT_EMAIL_TAKEN, Aborted/ACCOUNT_LINKED."""
    try:
        await tx.session.flush()
    except IntegrityError as error:
        raise _translated(error) from None


async def require_no_dependants(tx: UnitOfWork, client: Client) -> None:
    """Raises FailedPrecondition/HAS_DEPENDANTS: who acts for others has no guardian."""
    if await tx.session.scalar(_dependants(tx, client).limit(1)):
        raise FailedPrecondition("the client acts for others", reason="HAS_DEPENDANTS")


def require_active(client: Client) -> None:
    """Raises FailedPrecondition/ARCHIVED."""
    if client.archive_time is not None:
        raise FailedPrecondition("the client is archived", reason="ARCHIVED")


async def _acting(tx: UnitOfWork, account: object) -> dict[str, Any]:
    """Who acts for a client that gets this account: itself when nobody is the account yet, else who is."""
    guardian = await find_self(tx, account) if account else None
    return {
        "account_id": account,
        "is_self": account is not None and guardian is None,
        "guardian_id": guardian.id if guardian else None,
    }


async def _pass_on_account(tx: UnitOfWork, client: Client, account: Any) -> None:
    for dependant in await tx.session.scalars(_dependants(tx, client).with_for_update()):
        dependant.account_id = account
        dependant.touch(tx.now())
        await changes.publish_client(tx, dependant)


def _dependants(tx: UnitOfWork, client: Client) -> Select[Client]:
    return select(Client).where(Client.tenant_id == tx.tenant, Client.guardian_id == client.id).order_by(Client.id)


def _profiles(tx: UnitOfWork, account: UUID | None) -> Select[*tuple[Any, ...]]:
    """Rows of a Profile's fields, as `account` sees them or staff when None."""
    link = ClientTagLink
    tags = select(func.array_agg(link.tag_id)).where(link.tenant_id == Client.tenant_id, link.client_id == Client.id)
    seen = func.coalesce(tags.scalar_subquery(), _NO_IDS) if account is None else _NO_IDS
    return select(Client, _credits_left(tx), seen, waivers.must_sign()).where(Client.tenant_id == tx.tenant)


def _credits_left(tx: UnitOfWork) -> ColumnElement[int]:
    """Of the client in the same query, in packages that have neither expired nor been revoked."""
    package = ClientPackage
    usable = and_(package.revoke_time.is_(None), or_(package.expire_time.is_(None), package.expire_time > tx.now()))
    total = select(func.coalesce(func.sum(package.credits_left), 0))
    return total.where(package.tenant_id == Client.tenant_id, package.client_id == Client.id, usable).scalar_subquery()


def _clean(tx: UnitOfWork, values: Mapping[str, object]) -> dict[str, object]:
    """Trimmed, numbers in E.164; people without an address have none at all, not an empty one. A name is required."""
    cleaned = {field: value.strip() if isinstance(value, str) else value for field, value in values.items()}
    if cleaned.get("display_name", "?") == "":
        raise InvalidArgument("client.display_name", "is required")
    for field in cleaned.keys() & _PHONES:
        cleaned[field] = phones.normalised(str(cleaned[field]), f"client.{field}")
    born = cleaned.get("birth_date")
    if isinstance(born, date) and not _BORN_AFTER <= born <= tx.now().date():
        raise InvalidArgument("client.birth_date", "is no date on which a client was born", reason="BIRTH_DATE_INVALID")
    if "email" in cleaned:
        cleaned["email"] = cleaned["email"] or None
    return cleaned


def _translated(error: IntegrityError) -> Exception:
    constraint = getattr(getattr(error.orig, "__cause__", None), "constraint_name", None)
    if constraint == CLIENT_EMAIL:
        return AlreadyExists(
            "another client has this e-mail address", reason="CLIENT_EMAIL_TAKEN", field="client.email"
        )
    if constraint == CLIENT_SELF:
        return Aborted("the account was linked to another client meanwhile; try again", reason="ACCOUNT_LINKED")
    return error
