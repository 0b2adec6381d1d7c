"""Principals: whom a credential speaks for and what they may do, in every studio. Tokens carry the answer."""

from collections import defaultdict
from uuid import UUID

from services.chassis.auth.principal import Principal
from services.chassis.db.unit_of_work import UnitOfWork
from services.identity import api_keys, role_bindings, sessions


async def of_session(tx: UnitOfWork, token: str) -> Principal:
    """A person, with all their roles. Raises Unauthenticated (SESSION_EXPIRED)."""
    session = await sessions.use(tx, token)
    roles: defaultdict[UUID, set[int]] = defaultdict(set)
    for binding in await role_bindings.of_account(tx, session.account_id):
        roles[binding.tenant_id].add(binding.role)
    return Principal(
        account_id=session.account_id,
        session_id=session.id,
        roles={tenant: frozenset(held) for tenant, held in roles.items()},
    )


async def of_api_key(tx: UnitOfWork, text: str) -> Principal:
    """A program, with its one role. Raises Unauthenticated (API_KEY_INVALID, API_KEY_REVOKED)."""
    key = await api_keys.use(tx, text)
    return Principal(api_key_id=key.id, roles={key.tenant_id: frozenset({key.role})})
