"""What each client wants to be sent: kinds and channels, reminders' offsets, quiet hours, language.

Sending asks `load` for many clients at once. Every change of what may be sent leaves its consent behind.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Uuid, any_, delete, literal, select
from sqlalchemy.dialects.postgresql import insert

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument, check_etag
from services.notify import client_merges, consent
from services.notify.models import (
    Channel,
    ClientPreferences,
    Consent,
    DismissedWarning,
    Kind,
    PushSubscription,
    Studio,
)
from services.notify.quiet_hours import QuietHours

# What clients are sent, and so may choose about. The other kinds go to people who work at a studio, or were asked for.
CLIENT_KINDS = (
    Kind.BOOKING_CONFIRMATION,
    Kind.REMINDER,
    Kind.WAITLIST_PROMOTED,
    Kind.WAITLIST_OFFER,
    Kind.CLASS_CANCELLED,
    Kind.CLASS_CHANGED,
    Kind.DISPLACED,
    Kind.FEE_DUE,
    Kind.RECEIPT,
    Kind.FEE_DECLINED,
    Kind.MEMBERSHIP_JOINED,
    Kind.MEMBERSHIP_PAST_DUE,
    Kind.MEMBERSHIP_CANCELLED,
    Kind.MEMBERSHIP_ENDED,
    Kind.MEMBERSHIP_PAUSED,
    Kind.PURCHASE_RETURNED,
)
# Mails that can wait for the morning. The others answer what the client has just done, or are news of a class to come.
WAIT_BY_MAIL = (Kind.REMINDER, Kind.FEE_DUE, Kind.FEE_DECLINED, Kind.MEMBERSHIP_PAST_DUE, Kind.MEMBERSHIP_ENDED)
# As kind: all of them.
ALL = "*"
NO_ZONE = "UTC"
CHANNEL_WORDS = {Channel.EMAIL: "E-mail", Channel.SMS: "SMS", Channel.PUSH: "Push"}


@dataclass(frozen=True)
class Preferences:
    """A client's preferences as sending needs them: with what holds where the client has said nothing."""

    opt_outs: frozenset[str] = frozenset()
    quiet: QuietHours | None = None
    # Of the quiet hours.
    zone: str = NO_ZONE
    # Minutes before the start, by channel; a channel that is absent: as the studio does.
    offsets: Mapping[Channel, tuple[int, ...]] = field(default_factory=dict)
    # Empty: the one that the studio knows the client by.
    language: str = ""

    def quiet_for(self, kind: Kind, channel: Channel) -> QuietHours | None:
        """The quiet hours that such a message keeps; a mail makes no noise, so only what is not urgent does."""
        return None if channel == Channel.EMAIL and kind not in WAIT_BY_MAIL else self.quiet

    def refusal(self, kind: Kind, channel: Channel) -> str | None:
        """Why the client is not sent this; None when it is."""
        if kind in CLIENT_KINDS and {f"{kind}/{channel}", f"{ALL}/{channel}"} & self.opt_outs:
            return f"{CHANNEL_WORDS[channel]} skipped - client preference"
        return None


async def load(tx: UnitOfWork, client_ids: Collection[UUID]) -> dict[UUID, Preferences]:
    """The preferences of clients; of each one, in one statement."""
    # By one parameter: the statement is prepared and planned once, however many are asked for.
    among = ClientPreferences.client_id == any_(literal(list(client_ids), ARRAY(Uuid)))
    zone = select(Studio.time_zone).where(Studio.tenant_id == tx.tenant).scalar_subquery().label("zone")
    nobody = select(zone).subquery()
    query = (
        select(nobody.c.zone, ClientPreferences)
        .select_from(nobody)
        .outerjoin(ClientPreferences, (ClientPreferences.tenant_id == tx.tenant) & among)
    )
    rows = (await tx.session.execute(query)).all()
    zone_of_studio = rows[0].zone or NO_ZONE
    stored = {row.client_id: _of_row(row, zone_of_studio) for _, row in rows if row is not None}
    nothing_said = Preferences(zone=zone_of_studio)
    return {client_id: stored.get(client_id, nothing_said) for client_id in client_ids}


async def get(tx: UnitOfWork, client_id: UUID) -> tuple[ClientPreferences, str]:
    """What the client, or whom it became, has said, with the zone that holds for its quiet hours."""
    client_id = await client_merges.current(tx, client_id)
    row = await tx.session.get(ClientPreferences, (tx.tenant, client_id))
    row = row or ClientPreferences(**_nothing(tx, client_id))
    return row, row.time_zone or await _studio_zone(tx)


async def update(
    tx: UnitOfWork, client_id: UUID, changes: Mapping[str, Any], *, etag: str, source: consent.Source, principal: str
) -> tuple[ClientPreferences, str]:
    """Changes columns of the preferences of a client, or whom it became. Raises Aborted/ETAG_MISMATCH."""
    row = await _lock_current(tx, client_id)
    check_etag(etag, row.etag)
    await change(tx, row, changes, source=source, principal=principal)
    return row, row.time_zone or await _studio_zone(tx)


async def change(
    tx: UnitOfWork, row: ClientPreferences, changes: Mapping[str, Any], *, source: consent.Source, principal: str
) -> None:
    """Changes columns of a locked row."""
    if "opt_outs" in changes:
        await _record_consents(tx, row, frozenset(changes["opt_outs"]), source, principal)
    for column, value in changes.items():
        if getattr(row, column) != value:
            tx.note_change(column, getattr(row, column), value)
            setattr(row, column, value)
    row.touch(tx.now())
    await tx.session.flush()


async def opt_out(tx: UnitOfWork, client_id: UUID, kind: Kind | None, channel: Channel, principal: str) -> None:
    """One click: no more of this kind by this channel, or of no kind. Doing it again changes nothing."""
    row = await _lock_current(tx, client_id)
    wanted = sorted({*row.opt_outs, f"{kind or ALL}/{channel}"})
    if wanted != row.opt_outs:
        await change(tx, row, {"opt_outs": wanted}, source=consent.Source.UNSUBSCRIBE, principal=principal)


async def record_consent(
    tx: UnitOfWork,
    client_id: UUID,
    *,
    kind: str,
    channel: Channel,
    granted: bool,
    source: consent.Source,
    principal: str,
    at: datetime,
) -> Consent:
    """Keeps what a client said elsewhere at that time. What it says holds, unless something was said later.

    Raises InvalidArgument/TIME_IN_FUTURE.
    """
    if at > tx.now():
        raise InvalidArgument("consent.time", "is yet to come", reason="TIME_IN_FUTURE")
    row = await _lock_current(tx, client_id)
    later = await consent.said_later(tx, row.client_id, kind, channel, at)
    opt_out = f"{kind}/{channel}"
    wanted = sorted({*row.opt_outs} - {opt_out} if granted else {*row.opt_outs, opt_out})
    if not later and wanted != row.opt_outs:
        tx.note_change("opt_outs", row.opt_outs, wanted)
        row.opt_outs = wanted
        row.touch(tx.now())
    return await consent.add(
        tx,
        client_id=row.client_id,
        kind=kind,
        channel=channel,
        granted=granted,
        source=source,
        principal=principal,
        at=at,
    )


async def forget(tx: UnitOfWork, client_id: UUID) -> None:
    """The client is no more."""
    await client_merges.forget(tx, client_id)
    for table in (ClientPreferences, DismissedWarning, PushSubscription):
        await tx.session.execute(delete(table).where(table.tenant_id == tx.tenant, table.client_id == client_id))


async def lock(tx: UnitOfWork, client_id: UUID) -> ClientPreferences:
    """The client's row, made when there is none, kept as it is for this transaction."""
    await tx.session.execute(insert(ClientPreferences).values(_nothing(tx, client_id)).on_conflict_do_nothing())
    return await tx.session.get_one(ClientPreferences, (tx.tenant, client_id), with_for_update=True)


async def _lock_current(tx: UnitOfWork, client_id: UUID) -> ClientPreferences:
    """The row of the client, or of whom it became: also of whom it became while the row was waited for."""
    row = await lock(tx, await client_merges.current(tx, client_id))
    while (current := await client_merges.current(tx, client_id)) != row.client_id:
        row = await lock(tx, current)
    return row


async def _record_consents(
    tx: UnitOfWork, row: ClientPreferences, wanted: frozenset[str], source: consent.Source, principal: str
) -> None:
    before = frozenset(row.opt_outs)
    for changed in sorted(before ^ wanted):
        kind, channel = changed.split("/")
        await consent.add(
            tx,
            client_id=row.client_id,
            kind=kind,
            channel=Channel(channel),
            granted=changed in before,
            source=source,
            principal=principal,
        )


async def _studio_zone(tx: UnitOfWork) -> str:
    return await tx.session.scalar(select(Studio.time_zone).where(Studio.tenant_id == tx.tenant)) or NO_ZONE


def _of_row(row: ClientPreferences, studio_zone: str) -> Preferences:
    quiet = QuietHours(row.quiet_start, row.quiet_end) if row.quiet_start and row.quiet_end else None
    return Preferences(
        opt_outs=frozenset(row.opt_outs),
        quiet=quiet,
        zone=row.time_zone or studio_zone,
        offsets={Channel(channel): tuple(minutes) for channel, minutes in row.offsets.items()},
        language=row.language,
    )


def _nothing(tx: UnitOfWork, client_id: UUID) -> dict[str, Any]:
    """Columns of preferences of which nothing was ever said."""
    return {
        "tenant_id": tx.tenant,
        "client_id": client_id,
        "opt_outs": [],
        "offsets": {},
        "quiet_start": None,
        "quiet_end": None,
        "time_zone": "",
        "language": "",
        "version": 0,
    }
