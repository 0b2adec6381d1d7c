"""Generation summaries: what a generation of classes has planned and what it could not, one mail per owner and run."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from powerhouse.scheduling.v1.events_pb2 import GenerationRunFinished
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources
from services.notify import staff
from services.notify.local_words import phrase, wall_time
from services.notify.models import Kind

TELL_JOB = "tell_of_generation"


async def follow(tx: UnitOfWork, told: GenerationRunFinished) -> None:
    """Nobody is written to when nothing was planned and nothing is in the way; closed days are no news."""
    if not (told.created_count or told.conflict_count or told.attention_count):
        return
    args = {
        "run": told.generation_run_id,
        "created": told.created_count,
        "skipped": told.skipped_count,
        "conflicts": told.conflict_count,
        "attention": told.attention_count,
        "clashes": [[each.class_schedule_display_name, each.local_start, each.message] for each in told.conflicts],
        "unserved": [[each.class_schedule_display_name, each.message] for each in told.unserved],
    }
    await tx.enqueue(TELL_JOB, told.generation_run_id, args=args)


async def tell(work: Resources, tenant: UUID, args: Mapping[str, Any]) -> None:
    """Plans the mail of each owner. Raises AioRpcError when identity cannot be asked now."""
    await staff.tell_owners(work, tenant, Kind.GENERATION_SUMMARY, UUID(args["run"]), args)


def values(args: Mapping[str, Any], language: str) -> dict[str, str]:
    """What the words need of a run."""
    clashes = [
        f"{name}, {wall_time(datetime.fromisoformat(start), language)}: {why}" for name, start, why in args["clashes"]
    ]
    unserved = [f"{name}: {why}" for name, why in args["unserved"]]
    return {
        "created": str(args["created"]),
        "skipped": str(args["skipped"]),
        "conflicts": str(args["conflicts"]),
        "attention": str(args["attention"]),
        "conflict_list": _listed(clashes, args["conflicts"], language),
        "attention_list": _listed(unserved, args["attention"], language),
    }


def _listed(lines: Sequence[str], count: int, language: str) -> str:
    """One a line; those that the event left out as their number."""
    more = [f"+ {count - len(lines)} {phrase('more', language)}"] if count > len(lines) else []
    return "\n".join([*lines, *more])
