"""Who has which role in a studio, and that it keeps an owner."""

import asyncio
from uuid import UUID

import asyncpg
import pytest

from powerhouse.identity.v1 import identity_service_pb2 as pb
from powerhouse.identity.v1.events_pb2 import RoleBindingChanged
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.db.urls import service_url
from services.chassis.ids import new_id
from tests.integration.identity.house import Studio, key, new_account, new_studio, reason, reasons, studio_created
from tests.support.services import Running


async def test_whoever_creates_a_studio_owns_it_once(identity: Running, studio: Studio) -> None:
    await studio_created(identity, studio)
    (binding,) = (await _list(studio)).role_bindings
    assert (binding.account, binding.role) == (f"accounts/{studio.owner}", Role.ROLE_OWNER)
    assert binding.account_email
    assert binding.account_display_name == "Ada"
    (event,) = await identity.events(RoleBindingChanged, studio.id)
    assert event == RoleBindingChanged(
        role_binding_id=binding.name.rpartition("/")[2], account_id=str(studio.owner), role=Role.ROLE_OWNER
    )


async def test_taking_a_role_away_is_told_audited_and_repeatable(identity: Running, studio: Studio) -> None:
    account = await new_account(identity)
    binding = await studio.grant(account, Role.ROLE_INSTRUCTOR)
    request = pb.DeleteRoleBindingRequest(name=studio.binding(binding), request_id=key())
    answer = await studio.as_owner().DeleteRoleBinding(request)
    assert (answer.account, answer.role) == (f"accounts/{account}", Role.ROLE_INSTRUCTOR)
    assert await studio.as_owner().DeleteRoleBinding(request) == answer
    gone = pb.DeleteRoleBindingRequest(name=studio.binding(binding), request_id=key())
    assert await reason(studio.as_owner().DeleteRoleBinding(gone)) == ("NOT_FOUND", "NOT_FOUND")
    event = (await identity.events(RoleBindingChanged, studio.id))[-1]
    assert (event.role_binding_id, event.deleted) == (str(binding), True)
    audited = await studio.as_owner().ListAuditEntries(pb.ListAuditEntriesRequest(parent=studio.name))
    assert [(entry.principal, entry.method, entry.resource) for entry in audited.audit_entries] == [
        (f"accounts/{studio.owner}", "DeleteRoleBinding", studio.binding(binding))
    ]


async def test_the_last_owner_stays(studio: Studio) -> None:
    owner = UUID((await _list(studio)).role_bindings[0].name.rpartition("/")[2])
    await studio.grant(studio.owner, Role.ROLE_MANAGER)
    assert await _delete(studio, owner) == "LAST_OWNER"
    second = await studio.grant(await new_account(studio.running), Role.ROLE_OWNER)
    assert await _delete(studio, owner) == ""
    assert await _delete(studio, second) == "LAST_OWNER"


async def test_owners_who_remove_each_other_leave_one(identity: Running) -> None:
    for _ in range(5):
        studio = await new_studio(identity)
        first = UUID((await _list(studio)).role_bindings[0].name.rpartition("/")[2])
        others = [await studio.grant(await new_account(identity), Role.ROLE_OWNER) for _ in range(3)]
        found = await asyncio.gather(*(_delete(studio, binding) for binding in (first, *others)))
        assert sorted(found) == ["", "", "", "LAST_OWNER"]


async def test_without_the_lock_two_owners_would_remove_each_other(identity: Running, studio: Studio) -> None:
    """The negative control: the same check on the same rows, each transaction looking before the other has written."""
    await studio.grant(await new_account(identity), Role.ROLE_OWNER)
    url = service_url("identity", "app", {"POWERHOUSE_DATABASE_URL": identity.mesh.admin_url})
    one, two = await asyncpg.connect(url), await asyncpg.connect(url)
    try:
        seen = []
        for connection in (one, two):
            await connection.execute("BEGIN")
            seen.append(await connection.fetch("SELECT id FROM role_bindings WHERE tenant_id = $1", studio.id))
        assert [len(owners) for owners in seen] == [2, 2]
        for connection, owners, index in ((one, seen[0], 0), (two, seen[1], 1)):
            await connection.execute("DELETE FROM role_bindings WHERE id = $1", sorted(o["id"] for o in owners)[index])
            await connection.execute("COMMIT")
    finally:
        await one.close()
        await two.close()
    assert await identity.sql("SELECT 1 FROM role_bindings WHERE tenant_id = $1", studio.id) == []


async def test_another_studios_roles_are_out_of_reach(identity: Running, studio: Studio) -> None:
    other = await new_studio(identity)
    theirs = (await _list(other)).role_bindings[0].name
    assert await reason(_request_delete(studio, theirs)) == ("PERMISSION_DENIED", "ROLE_REQUIRED")
    disguised = studio.binding(UUID(theirs.rpartition("/")[2]))
    assert await reason(_request_delete(studio, disguised)) == ("NOT_FOUND", "NOT_FOUND")
    malformed = f"{studio.name}/roles/{new_id()}"
    assert await reason(_request_delete(studio, malformed)) == ("INVALID_ARGUMENT", "MALFORMED_NAME")
    assert len((await _list(other)).role_bindings) == 1


@pytest.mark.parametrize("role", [Role.ROLE_MANAGER, Role.ROLE_FRONT_DESK, Role.ROLE_INSTRUCTOR, Role.ROLE_CLIENT])
async def test_only_owners_deal_in_roles(studio: Studio, role: int) -> None:
    stub = studio.acting(role)
    calls = [
        stub.DeleteRoleBinding(pb.DeleteRoleBindingRequest(name=studio.binding(new_id()), request_id=key())),
        stub.CreateInvitation(pb.CreateInvitationRequest(parent=studio.name, request_id=key())),
        stub.ListInvitations(pb.ListInvitationsRequest(parent=studio.name)),
        stub.RevokeInvitation(pb.RevokeInvitationRequest(name=f"{studio.name}/invitations/x", request_id=key())),
        stub.CreateApiKey(pb.CreateApiKeyRequest(parent=studio.name, request_id=key())),
        stub.ListApiKeys(pb.ListApiKeysRequest(parent=studio.name)),
        stub.RevokeApiKey(pb.RevokeApiKeyRequest(name=f"{studio.name}/apiKeys/x", request_id=key())),
        stub.ListAuditEntries(pb.ListAuditEntriesRequest(parent=studio.name)),
    ]
    assert await reasons(calls) == ["ROLE_REQUIRED"] * len(calls)
    may_list = role == Role.ROLE_MANAGER
    listing = stub.ListRoleBindings(pb.ListRoleBindingsRequest(parent=studio.name))
    assert await reasons([listing]) == ["" if may_list else "ROLE_REQUIRED"]


async def test_roles_are_listed_page_by_page(identity: Running, studio: Studio) -> None:
    for _ in range(4):
        await studio.grant(await new_account(identity), Role.ROLE_INSTRUCTOR)
    everyone = [binding.name for binding in (await _list(studio)).role_bindings]
    assert len(everyone) == 5
    seen: list[str] = []
    token = ""
    for size in (2, 2, 1):
        request = pb.ListRoleBindingsRequest(parent=studio.name, page_size=2, page_token=token)
        page = await studio.as_owner().ListRoleBindings(request)
        assert len(page.role_bindings) == size
        seen += [binding.name for binding in page.role_bindings]
        token = page.next_page_token
    assert (seen, token) == (everyone, "")
    other = await new_studio(identity)
    first = await studio.as_owner().ListRoleBindings(pb.ListRoleBindingsRequest(parent=studio.name, page_size=2))
    stale = pb.ListRoleBindingsRequest(parent=other.name, page_token=first.next_page_token)
    assert await reason(other.as_owner().ListRoleBindings(stale)) == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")


async def _list(studio: Studio) -> pb.ListRoleBindingsResponse:
    answer: pb.ListRoleBindingsResponse = await studio.as_owner().ListRoleBindings(
        pb.ListRoleBindingsRequest(parent=studio.name)
    )
    return answer


def _request_delete(studio: Studio, name: str) -> object:
    return studio.as_owner().DeleteRoleBinding(pb.DeleteRoleBindingRequest(name=name, request_id=key()))


async def _delete(studio: Studio, binding: UUID) -> str:
    """The reason of the refusal, "" for a success."""
    return (await reasons([_request_delete(studio, studio.binding(binding))]))[0]
