"""Clients: people who take classes at one studio. An account acts for its own client and for those linked to it."""

from collections.abc import Mapping, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import IntegrityError

from services.booking import changes
from services.booking.models import CLIENT_EMAIL, CLIENT_SELF, Client, ClientPackage
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import Aborted, AlreadyExists, InvalidArgument, NotFound, PermissionDenied, check_etag
from services.chassis.ids import new_id


async def create(tx: UnitOfWork, values: Mapping[str, object]) -> Client:
    """Adds a client. The first client linked to an account is the person itself, further ones are dependants.

    Raises AlreadyExists/CLIENT_EMAIL_TAKEN.
    """
    account = values.get("account_id")
    is_self = account is not None and await _find_self(tx, account) is None
    client = Client(
        tenant_id=tx.tenant, id=new_id(), is_self=is_self, create_time=tx.now(), update_time=tx.now(), **_clean(values)
    )
    tx.session.add(client)
    await _flush(tx)
    await changes.publish_client(tx, client)
    return client


async def join(tx: UnitOfWork, account: UUID, values: Mapping[str, object]) -> Client:
    """The client that the account is at this studio, made from `values` if it is none yet, also by two calls at once.

    Raises AlreadyExists/CLIENT_EMAIL_TAKEN: an address proves nothing, so nobody is linked by it.
    """
    row = {
        **_clean(values),
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
    if await _find_self(tx, account) is None:
        try:
            await tx.session.execute(at_most_one, row)
        except IntegrityError as error:
            raise _translated(error) from None
    client = await _find_self(tx, account)
    if client is None:
        raise NotFound("client")
    if client.id == row["id"]:
        await changes.publish_client(tx, client)
    return client


async def get(tx: UnitOfWork, client_id: UUID, account: UUID | None) -> tuple[Client, int]:
    """A client and the credits it can use now. `account` narrows to whom it acts for.

    Raises PermissionDenied for anybody else, known or not, when narrowed; else NotFound.
    """
    query = select(Client, _credits_left(tx)).where(Client.tenant_id == tx.tenant, Client.id == client_id)
    row = (await tx.session.execute(query)).one_or_none()
    if account is not None and (row is None or row[0].account_id != account):
        raise PermissionDenied()
    if row is None:
        raise NotFound("client")
    return row[0], row[1]


async def list_by_name(tx: UnitOfWork, page: Page, account: UUID | None) -> Sequence[tuple[Client, int]]:
    """Clients by name with the credits they can use now: all, or those that `account` acts for."""
    query = select(Client, _credits_left(tx)).where(Client.tenant_id == tx.tenant)
    if account is not None:
        query = query.where(Client.account_id == account)
    if page.after:
        query = query.where(tuple_(Client.display_name, Client.id) > tuple(page.after))
    rows = await tx.session.execute(query.order_by(Client.display_name, Client.id).limit(page.limit))
    return [(client, credits) for client, credits in rows]


async def update(
    tx: UnitOfWork, client_id: UUID, values: Mapping[str, object], *, account: UUID | None, etag: str
) -> tuple[Client, int]:
    """Changes fields of a client that `account` may act for, or any when None.

    Raises PermissionDenied, NotFound, Aborted/ETAG_MISMATCH, AlreadyExists/CLIENT_EMAIL_TAKEN.
    """
    await tx.session.execute(
        select(Client.id).where(Client.tenant_id == tx.tenant, Client.id == client_id).with_for_update()
    )
    client, credits = await get(tx, client_id, account)
    check_etag(etag, client.etag)
    if "account_id" in values and values["account_id"] != client.account_id:
        tx.note_change("account_id", client.account_id, values["account_id"])
        client.is_self = values["account_id"] is not None and await _find_self(tx, values["account_id"]) is None
    for field, value in _clean(values).items():
        setattr(client, field, value)
    client.touch(tx.now())
    await _flush(tx)
    await changes.publish_client(tx, client)
    return client, credits


async def _find_self(tx: UnitOfWork, account: object) -> Client | None:
    query = select(Client).where(Client.tenant_id == tx.tenant, Client.account_id == account, Client.is_self)
    return (await tx.session.scalars(query)).one_or_none()


def _credits_left(tx: UnitOfWork) -> ColumnElement[int]:
    """Of the client in the same query, in packages that have not expired."""
    package = ClientPackage
    usable = or_(package.expire_time.is_(None), package.expire_time > tx.now())
    total = select(func.coalesce(func.sum(package.credits_left), 0))
    return total.where(package.tenant_id == Client.tenant_id, package.client_id == Client.id, usable).scalar_subquery()


def _clean(values: Mapping[str, object]) -> dict[str, object]:
    """Trimmed; people without an address or a number have none at all, not an empty one. A name is required."""
    cleaned = {field: value.strip() if isinstance(value, str) else value for field, value in values.items()}
    if cleaned.get("display_name", "?") == "":
        raise InvalidArgument("client.display_name", "is required")
    return {field: (value or None) if field in ("email", "phone") else value for field, value in cleaned.items()}


async def _flush(tx: UnitOfWork) -> None:
    try:
        await tx.session.flush()
    except IntegrityError as error:
        raise _translated(error) from None


def _translated(error: IntegrityError) -> Exception:
    constraint = getattr(getattr(error.orig, "__cause__", None), "constraint_name", None)
    if constraint == CLIENT_EMAIL:
        return AlreadyExists(
            "another client has this e-mail address", reason="CLIENT_EMAIL_TAKEN", field="client.email"
        )
    if constraint == CLIENT_SELF:
        return Aborted("the account was linked to another client meanwhile; try again", reason="ACCOUNT_LINKED")
    return error
