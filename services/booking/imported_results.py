"""Rows on their way into the studio, what came of them, and whom and what the other system's ids mean."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from sqlalchemy import ARRAY, ColumnElement, Text, any_, cast, func, select
from sqlalchemy.orm import InstrumentedAttribute

from services.booking.import_rows import BookingRow, NoteRow, PackageRow
from services.booking.models import Client, ExternalId, Import
from services.chassis.db.records import insert_many
from services.chassis.db.unit_of_work import UnitOfWork

T = TypeVar("T")


@dataclass(frozen=True)
class Numbered(Generic[T]):
    """A row's meaning and its line."""

    line: int
    value: T
    # Another person in the file has the same e-mail address.
    shares_email: bool = False


@dataclass(frozen=True)
class Result:
    """What came of a row."""

    line: int
    # A name of the proto's ImportRow.Outcome.
    outcome: str
    reason: str = ""
    # Name of the column at fault.
    column: str = ""
    resource_id: UUID | None = None


def among(column: ColumnElement[T] | InstrumentedAttribute[T], values: Collection[T]) -> ColumnElement[bool]:
    """One of these: as one parameter, since there are thousands."""
    return column == any_(cast(list(values), ARRAY(column.type)))


async def known_ids(tx: UnitOfWork, source: str, kind: str, external_ids: Collection[str]) -> dict[str, UUID]:
    """External id → id, of those that were imported before."""
    query = select(ExternalId.external_id, ExternalId.id).where(
        ExternalId.tenant_id == tx.tenant,
        ExternalId.source == source,
        ExternalId.kind == kind,
        among(ExternalId.external_id, external_ids),
    )
    return {external: known for external, known in await tx.session.execute(query)}


async def remember_ids(tx: UnitOfWork, found: Import, ids: Mapping[str, UUID]) -> None:
    """So that the same row finds the same thing when it comes again."""
    common = {"tenant_id": tx.tenant, "source": found.source, "kind": found.kind}
    rows = [{**common, "external_id": external, "id": known} for external, known in ids.items()]
    await insert_many(tx, ExternalId, rows, or_nothing=True)


async def owners_of(tx: UnitOfWork, emails: Collection[str]) -> dict[str, UUID]:
    """Lower-case address → the client who has it, among those who are not archived."""
    address = func.lower(Client.email, type_=Text())
    query = select(address, Client.id).where(
        Client.tenant_id == tx.tenant, among(address, emails), Client.archive_time.is_(None)
    )
    return {email: owner for email, owner in await tx.session.execute(query)}


async def clients_of(
    tx: UnitOfWork, source: str, rows: Sequence[Numbered[PackageRow] | Numbered[BookingRow] | Numbered[NoteRow]]
) -> dict[int, UUID | str]:
    """Line → its client, or why there is none: CLIENT_UNKNOWN, CLIENT_ARCHIVED. By the id, else by the address."""
    by_id = await known_ids(tx, source, "CLIENTS", {row.value.client_external_id for row in rows} - {""})
    by_email = await owners_of(tx, {row.value.client_email for row in rows} - {""})
    found = {row.line: by_id.get(row.value.client_external_id) or by_email.get(row.value.client_email) for row in rows}
    archived_ones = select(Client.id).where(
        Client.tenant_id == tx.tenant, among(Client.id, set(by_id.values())), Client.archive_time.is_not(None)
    )
    archived = set((await tx.session.scalars(archived_ones)).all())
    return {
        line: "CLIENT_UNKNOWN" if client is None else "CLIENT_ARCHIVED" if client in archived else client
        for line, client in found.items()
    }
