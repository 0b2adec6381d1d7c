"""Role bindings: who has which role in a studio. A studio never loses its last owner."""

from collections.abc import Collection, Sequence
from typing import cast
from uuid import UUID

from sqlalchemy import Boolean, Select, delete, literal_column, select
from sqlalchemy.dialects.postgresql import insert

from powerhouse.identity.v1.events_pb2 import RoleBindingChanged
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.clock import real_now
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import FailedPrecondition, NotFound
from services.chassis.ids import new_id
from services.identity.models import Account, RoleBinding

# Of whom a message about the studio goes to.
MOST_STAFF = 50

Held = tuple[RoleBinding, Account]
# PostgreSQL's own mark: a row that an upsert met instead of inserting was locked by it.
_WAS_INSERTED = literal_column("xmax = 0", Boolean)


async def grant(tx: UnitOfWork, account_id: UUID, role: int) -> RoleBinding:
    """Gives a role in the transaction's studio; who has it already keeps it."""
    rows = await tx.session.execute(
        insert(RoleBinding)
        .values(tenant_id=tx.tenant, id=new_id(), account_id=account_id, role=role, create_time=real_now())
        # Not DO NOTHING, which returns no row: the one in the way could be gone before it is read.
        .on_conflict_do_update(index_elements=["tenant_id", "account_id", "role"], set_={"role": role})
        .returning(RoleBinding, _WAS_INSERTED)
    )
    binding, created = rows.one()
    if created:
        await _publish(tx, binding, version=1)
    return binding


async def take_away(tx: UnitOfWork, binding_id: UUID) -> Held:
    """Takes a role away. Raises NotFound, FailedPrecondition (LAST_OWNER)."""
    # Whoever takes a role away holds all owners, so that two owners cannot remove each other at the same time.
    owners = await tx.session.scalars(
        select(RoleBinding.id)
        .where(RoleBinding.tenant_id == tx.tenant, RoleBinding.role == Role.ROLE_OWNER)
        .order_by(RoleBinding.id)
        .with_for_update()
    )
    last_owner = owners.all() == [binding_id]
    this = _held().where(RoleBinding.tenant_id == tx.tenant, RoleBinding.id == binding_id)
    row = (await tx.session.execute(this.with_for_update(of=RoleBinding))).one_or_none()
    if row is None:
        raise NotFound("role binding")
    if last_owner:
        raise FailedPrecondition("a studio needs an owner; give the role to someone else first", reason="LAST_OWNER")
    binding, account = row
    await tx.session.execute(
        delete(RoleBinding)
        .where(RoleBinding.tenant_id == tx.tenant, RoleBinding.id == binding_id)
        .execution_options(synchronize_session=False)
    )
    await _publish(tx, binding, version=2, deleted=True)
    return binding, account


async def page_of(tx: UnitOfWork, page: Page) -> tuple[list[Held], str]:
    """The studio's roles, oldest first, and the token of the next page."""
    query = _held().where(RoleBinding.tenant_id == tx.tenant).order_by(RoleBinding.id).limit(page.limit)
    if page.after:
        query = query.where(RoleBinding.id > page.after[0])
    rows = [(binding, account) for binding, account in await tx.session.execute(query)]
    return page.cut(rows, lambda held: (held[0].id,))


async def of_account(tx: UnitOfWork, account_id: UUID) -> Sequence[RoleBinding]:
    """All roles of an account, in every studio."""
    query = select(RoleBinding).where(RoleBinding.account_id == account_id)
    return (await tx.session.scalars(query.order_by(RoleBinding.tenant_id, RoleBinding.role))).all()


def _held() -> Select[RoleBinding, Account]:
    return select(RoleBinding, Account).join(Account, Account.id == RoleBinding.account_id)


async def _publish(tx: UnitOfWork, binding: RoleBinding, *, version: int, deleted: bool = False) -> None:
    await tx.publish(
        RoleBindingChanged(
            role_binding_id=str(binding.id),
            account_id=str(binding.account_id),
            role=cast("Role.ValueType", binding.role),
            deleted=deleted,
        ),
        aggregate="role_binding",
        aggregate_id=binding.id,
        version=version,
    )


async def staff(tx: UnitOfWork, roles: Collection[int]) -> Sequence[Account]:
    """Accounts that have one of these roles in the transaction's studio, each once."""
    having = select(RoleBinding.account_id).where(RoleBinding.tenant_id == tx.tenant, RoleBinding.role.in_(roles))
    query = select(Account).where(Account.id.in_(having)).order_by(Account.id).limit(MOST_STAFF)
    return (await tx.session.scalars(query)).all()
