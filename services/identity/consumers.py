"""Events of others that identity acts on."""

from uuid import UUID

from powerhouse.policy.v1.policy_pb2 import Role
from powerhouse.scheduling.v1.events_pb2 import StudioCreated
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.messaging.consumers import Consumers, Event
from services.identity import role_bindings

consumers = Consumers()


@consumers.on(StudioCreated)
async def make_creator_owner(tx: UnitOfWork, event: Event[StudioCreated]) -> None:
    """Whoever creates a studio owns it."""
    studio = tx.of(UUID(event.payload.studio_id))
    await role_bindings.grant(studio, UUID(event.payload.account_id), Role.ROLE_OWNER)
