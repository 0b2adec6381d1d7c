"""What two clients wanted who are one: the stricter wins, so nothing that somebody has stopped begins again.

The survivor gets the duplicate's opt-outs beside its own, and where it has said nothing itself the duplicate's quiet
hours, offsets and language. The duplicate's own row stays as it was: it holds again when the merge is taken back. The
survivor then gives up what it got and has not changed since; what was stopped meanwhile stays stopped for both.
Suppressions are of addresses and need no moving.
"""

from collections.abc import Mapping
from typing import Any

from services.chassis.db.unit_of_work import UnitOfWork
from services.notify import client_merges, consent, preferences, reminders
from services.notify.client_merges import MergeState
from services.notify.models import ClientMerge, ClientPreferences

# In the book of consents.
_PRINCIPAL = "booking"
# Columns that are of no use without each other, and what they are when nothing was said.
_FILLED: tuple[tuple[str, ...], ...] = (("quiet_start", "quiet_end", "time_zone"), ("language",))


async def follow(tx: UnitOfWork, state: MergeState) -> None:
    """Two clients were merged, or are two again; unless a newer state is known."""
    known = await client_merges.put(tx, state)
    if known is None:
        return
    merge, was_made = known
    if state.undone and not was_made:
        return
    # In the order of ids, as everybody who locks two.
    rows = {each: await preferences.lock(tx, each) for each in sorted((merge.survivor_id, merge.duplicate_id))}
    survivor, duplicate = rows[merge.survivor_id], rows[merge.duplicate_id]
    if state.undone:
        await _give_back(tx, merge, survivor, duplicate)
    else:
        await _take_over(tx, merge, survivor, duplicate)
    for row in (survivor, duplicate):
        await reminders.rearrange(tx, row.client_id)


async def _take_over(
    tx: UnitOfWork, merge: ClientMerge, survivor: ClientPreferences, duplicate: ClientPreferences
) -> None:
    changes: dict[str, Any] = {"opt_outs": sorted({*survivor.opt_outs, *duplicate.opt_outs})}
    changes["offsets"] = {**duplicate.offsets, **survivor.offsets}
    for columns in _FILLED:
        if not getattr(survivor, columns[0]) and getattr(duplicate, columns[0]):
            changes |= {column: getattr(duplicate, column) for column in columns}
    merge.taken = {
        "opt_outs": sorted({*duplicate.opt_outs} - {*survivor.opt_outs}),
        "offsets": sorted({*duplicate.offsets} - {*survivor.offsets}),
        "columns": [column for columns in _FILLED if columns[0] in changes for column in columns],
        "together": changes["opt_outs"],
    }
    await _change(tx, survivor, changes)


async def _give_back(
    tx: UnitOfWork, merge: ClientMerge, survivor: ClientPreferences, duplicate: ClientPreferences
) -> None:
    taken = merge.taken
    if not taken:
        return
    stopped_meanwhile = {*survivor.opt_outs} - {*taken["together"]}
    changes: dict[str, Any] = {"opt_outs": sorted({*survivor.opt_outs} - {*taken["opt_outs"]})}
    unchanged = {each for each in taken["offsets"] if survivor.offsets.get(each) == duplicate.offsets.get(each)}
    changes["offsets"] = {each: minutes for each, minutes in survivor.offsets.items() if each not in unchanged}
    if all(getattr(survivor, column) == getattr(duplicate, column) for column in taken["columns"]):
        nothing = {"quiet_start": None, "quiet_end": None, "time_zone": "", "language": ""}
        changes |= {column: nothing[column] for column in taken["columns"]}
    merge.taken = {}
    await _change(tx, survivor, changes)
    await _change(tx, duplicate, {"opt_outs": sorted({*duplicate.opt_outs} | stopped_meanwhile)})


async def _change(tx: UnitOfWork, row: ClientPreferences, changes: Mapping[str, Any]) -> None:
    if any(getattr(row, column) != value for column, value in changes.items()):
        await preferences.change(tx, row, changes, source=consent.Source.MERGE, principal=_PRINCIPAL)
