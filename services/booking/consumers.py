"""Events of other services and what they do here."""

from powerhouse.scheduling.v1.events_pb2 import ClassSessionChanged, ClassSessionsScheduled, StudioCreated
from services.booking import class_sessions, policies, snapshots
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.messaging.consumers import Consumers, Event

consumers = Consumers()


@consumers.on(ClassSessionChanged)
async def project(tx: UnitOfWork, event: Event[ClassSessionChanged]) -> None:
    """Keeps the sellable session as scheduling plans it."""
    await class_sessions.apply(tx, snapshots.decode(event.payload.class_session))


@consumers.on(ClassSessionsScheduled)
async def project_new(tx: UnitOfWork, event: Event[ClassSessionsScheduled]) -> None:
    """The same for many new sessions at once."""
    await class_sessions.add(tx, list(snapshots.decode_scheduled(event.payload)))


@consumers.on(StudioCreated)
async def welcome(tx: UnitOfWork, event: Event[StudioCreated]) -> None:
    """A new studio starts with the default policy."""
    await policies.settle(tx)
