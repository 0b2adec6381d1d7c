"""Generation: plans the sessions of recurring classes over the studio's horizon, each date once.

Under the studio's lock, so that runs and all other writers take turns: read everything, decide in memory, write it all.
"""

from uuid import UUID

from services.chassis.clock import monotonic
from services.chassis.crashpoints import crashpoint
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id
from services.scheduling import catalogue, generated_rows, generation_runs, planning, studios
from services.scheduling.generation_targets import Target
from services.scheduling.models import ClassSchedule, GenerationRun
from services.scheduling.timetable import Plan

PREVIEW, ON_DEMAND, WEEKLY = "PREVIEW", "ON_DEMAND", "WEEKLY"


async def run(tx: UnitOfWork, cause: str, schedule_id: UUID | None = None, run_id: UUID | None = None) -> GenerationRun:
    """Plans what is missing, for all of the studio or for one schedule, and keeps what came of it.

    Raises NotFound and FailedPrecondition ARCHIVED for the schedule. Repeated with the same `run_id` it does nothing.
    """
    began = monotonic()
    studio = await studios.lock(tx)
    if run_id is not None and (earlier := await tx.session.get(GenerationRun, (tx.tenant, run_id))):
        return earlier
    await _require_active(tx, schedule_id)
    outcome = await planning.decide(tx, studio, schedule_id=schedule_id)
    await generated_rows.write(tx, studio, outcome)
    crashpoint("scheduling_mid_generation")
    made = generation_runs.record(
        studio, outcome, cause=cause, schedule_id=schedule_id, now=tx.now(), seconds=monotonic() - began
    )
    made.id = run_id or new_id()
    await generation_runs.keep(tx, studio, made)
    return made


async def preview(tx: UnitOfWork, schedule_id: UUID | None = None) -> GenerationRun:
    """What `run` would do now. Writes nothing; raises what it raises."""
    began, studio = monotonic(), await studios.get(tx)
    await _require_active(tx, schedule_id)
    outcome = await planning.decide(tx, studio, schedule_id=schedule_id)
    return generation_runs.record(
        studio, outcome, cause=PREVIEW, schedule_id=schedule_id, now=tx.now(), seconds=monotonic() - began
    )


async def preview_new(tx: UnitOfWork, schedule: ClassSchedule, plan: Plan) -> GenerationRun:
    """The same for a schedule that is not there yet."""
    began, studio = monotonic(), await studios.get(tx)
    outcome = await planning.decide(tx, studio, [Target.of(schedule, plan)])
    return generation_runs.record(
        studio, outcome, cause=PREVIEW, schedule_id=None, now=tx.now(), seconds=monotonic() - began
    )


async def _require_active(tx: UnitOfWork, schedule_id: UUID | None) -> None:
    if schedule_id is not None:
        catalogue.require_active(await catalogue.get(tx, ClassSchedule, schedule_id))
