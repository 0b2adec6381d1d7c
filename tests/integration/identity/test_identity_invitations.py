"""Offers of a role by mail."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from powerhouse.identity.v1 import identity_service_pb2 as pb
from powerhouse.identity.v1.account_pb2 import Invitation
from powerhouse.identity.v1.events_pb2 import InvitationCreated
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.auth.principal import Principal
from services.chassis.ids import new_id
from tests.integration.identity.house import Browser, Studio, key, new_account, new_email, new_studio, reason, reasons
from tests.support.services import Running

EXPIRED = ("FAILED_PRECONDITION", "LINK_EXPIRED")


async def test_an_invited_person_gets_the_role_with_any_account(
    identity: Running, browser: Browser, studio: Studio
) -> None:
    email = new_email()
    invitation = await _invite(studio, f" {email.upper()}")
    assert (invitation.email, invitation.role, invitation.state) == (email, Role.ROLE_MANAGER, Invitation.PENDING)
    (event,) = await identity.events(InvitationCreated, studio.id)
    link = await _mail_link(identity, event.invitation_id)
    assert (link.email, link.role, link.expire_time) == (email, Role.ROLE_MANAGER, invitation.expire_time)
    session = (await browser.sign_up()).session_token
    account = (await browser.exchange(session_token=session)).account_id
    binding = await _accept(identity, account, link.token)
    assert (binding.account, binding.role) == (f"accounts/{account}", Role.ROLE_MANAGER)
    assert binding.name.startswith(f"{studio.name}/roleBindings/")
    assert (await browser.exchange(session_token=session)).roles == {studio.id: frozenset({Role.ROLE_MANAGER})}
    assert [i.state for i in (await _list(studio)).invitations] == [Invitation.ACCEPTED]
    audited = await studio.as_owner().ListAuditEntries(pb.ListAuditEntriesRequest(parent=studio.name))
    assert [(entry.principal, entry.method, entry.resource) for entry in audited.audit_entries] == [
        (f"accounts/{account}", "AcceptInvitation", binding.name),
        (f"accounts/{studio.owner}", "CreateInvitation", invitation.name),
    ]


async def test_a_link_is_the_same_at_each_call_and_works_once(identity: Running, studio: Studio) -> None:
    invitation_id = _id(await _invite(studio))
    token = (await _mail_link(identity, invitation_id)).token
    assert (await _mail_link(identity, invitation_id)).token == token
    accounts = [await new_account(identity) for _ in range(4)]
    found = await reasons(_accept(identity, account, token) for account in accounts)
    assert sorted(found) == ["", *["LINK_EXPIRED"] * 3]
    assert await reason(_mail_link(identity, invitation_id)) == EXPIRED


async def test_a_repeat_of_an_acceptance_answers_the_same(identity: Running, studio: Studio) -> None:
    token = (await _mail_link(identity, _id(await _invite(studio)))).token
    stub = identity.as_account(IdentityServiceStub, await new_account(identity))
    request = pb.AcceptInvitationRequest(token=token, request_id=key())
    assert await stub.AcceptInvitation(request) == await stub.AcceptInvitation(request)


async def test_who_has_the_role_already_keeps_one(identity: Running, studio: Studio) -> None:
    account = await new_account(identity)
    binding = await studio.grant(account, Role.ROLE_MANAGER)
    token = (await _mail_link(identity, _id(await _invite(studio)))).token
    assert (await _accept(identity, account, token)).name == studio.binding(binding)


async def test_seven_days_and_no_longer(identity: Running, studio: Studio) -> None:
    email = new_email()
    invitation = await _invite(studio, email)
    token = (await _mail_link(identity, _id(invitation))).token
    identity.mesh.clock.move(timedelta(days=7) - timedelta(seconds=1))
    assert await reason(_invite(studio, email)) == ("ALREADY_EXISTS", "ALREADY_INVITED")
    identity.mesh.clock.move(timedelta(seconds=1))
    account = await new_account(identity)
    assert await reason(_accept(identity, account, token)) == EXPIRED
    assert await reason(_mail_link(identity, _id(invitation))) == EXPIRED
    assert await reason(_revoke(studio, invitation.name)) == ("FAILED_PRECONDITION", "INVITATION_NOT_PENDING")
    again = await _invite(studio, email)
    states = {i.name: i.state for i in (await _list(studio)).invitations}
    assert states == {invitation.name: Invitation.EXPIRED, again.name: Invitation.PENDING}


async def test_one_pending_invitation_for_each_address_and_role(identity: Running, studio: Studio) -> None:
    email = new_email()
    found = await reasons(_invite(studio, spelling) for spelling in (email, email.upper(), email))
    assert sorted(found) == ["", "ALREADY_INVITED", "ALREADY_INVITED"]
    await _invite(studio, email, Role.ROLE_INSTRUCTOR)
    await _invite(await new_studio(identity), email)


async def test_a_revoked_invitation_is_over(identity: Running, studio: Studio) -> None:
    email = new_email()
    invitation = await _invite(studio, email)
    token = (await _mail_link(identity, _id(invitation))).token
    assert (await _revoke(studio, invitation.name)).state == Invitation.REVOKED
    assert await reason(_revoke(studio, invitation.name)) == ("FAILED_PRECONDITION", "INVITATION_NOT_PENDING")
    assert await reason(_accept(identity, await new_account(identity), token)) == EXPIRED
    assert await reason(_mail_link(identity, _id(invitation))) == EXPIRED
    await _invite(studio, email)


async def test_forged_links_are_refused(identity: Running, browser: Browser, studio: Studio) -> None:
    invitation_id = _id(await _invite(studio))
    token = (await _mail_link(identity, invitation_id)).token
    account = await new_account(identity)
    other = UUID(int=UUID(invitation_id).int ^ 1).hex
    for forged in ("x", invitation_id, token[:-1], f"{token[:-1]}é", other + token[32:], token.upper()):
        assert await reason(_accept(identity, account, forged)) == EXPIRED
    for purpose_of_another in (token,):
        reset = pb.ResetPasswordRequest(token=purpose_of_another, new_password="a new password")
        assert await reason(browser.call("ResetPassword", reset)) == EXPIRED
    await _accept(identity, account, token)


async def test_accepting_is_for_people(identity: Running, studio: Studio) -> None:
    token = (await _mail_link(identity, _id(await _invite(studio)))).token
    program = identity.as_principal(IdentityServiceStub, Principal(api_key_id=new_id()))
    request = pb.AcceptInvitationRequest(token=token, request_id=key())
    assert await reason(program.AcceptInvitation(request)) == ("PERMISSION_DENIED", "ACCOUNT_REQUIRED")
    stranger = identity.anonymous(IdentityServiceStub)
    assert await reason(stranger.AcceptInvitation(request)) == ("UNAUTHENTICATED", "NOT_SIGNED_IN")


@pytest.mark.parametrize("role", [Role.ROLE_UNSPECIFIED, Role.ROLE_CLIENT, 99])
async def test_only_staff_roles_are_offered(studio: Studio, role: Any) -> None:
    assert (await reason(_invite(studio, role=role)))[0] == "INVALID_ARGUMENT"


async def test_another_studios_invitation_is_out_of_reach(identity: Running, studio: Studio) -> None:
    theirs = await _invite(await new_studio(identity))
    assert await reason(_revoke(studio, theirs.name)) == ("PERMISSION_DENIED", "ROLE_REQUIRED")
    disguised = f"{studio.name}/invitations/{_id(theirs)}"
    assert await reason(_revoke(studio, disguised)) == ("NOT_FOUND", "NOT_FOUND")
    assert list((await _list(studio)).invitations) == []


async def test_links_are_for_notify(identity: Running, studio: Studio) -> None:
    request = pb.GetMailLinkRequest(invitation_id=_id(await _invite(studio)))
    refusal = ("PERMISSION_DENIED", "CALLER_NOT_ALLOWED")
    for stub in (
        identity.as_service(IdentityServiceStub, "booking"),
        identity.as_service(IdentityServiceStub, "gateway"),
        identity.anonymous(IdentityServiceStub),
        studio.as_owner(),
    ):
        assert await reason(stub.GetMailLink(request)) == refusal
    notify = identity.as_service(IdentityServiceStub, "notify")
    for unknown in ({"invitation_id": str(new_id())}, {"password_reset_id": str(new_id())}):
        assert await reason(notify.GetMailLink(pb.GetMailLinkRequest(**unknown))) == EXPIRED
    malformed = pb.GetMailLinkRequest(invitation_id="x")
    assert await reason(notify.GetMailLink(malformed)) == ("INVALID_ARGUMENT", "MALFORMED_NAME")


async def _invite(studio: Studio, email: str | None = None, role: Any = Role.ROLE_MANAGER) -> Invitation:
    wanted = pb.NewInvitation(email=email or new_email(), role=role)
    request = pb.CreateInvitationRequest(parent=studio.name, invitation=wanted, request_id=key())
    invitation: Invitation = await studio.as_owner().CreateInvitation(request)
    return invitation


async def _list(studio: Studio) -> pb.ListInvitationsResponse:
    request = pb.ListInvitationsRequest(parent=studio.name)
    answer: pb.ListInvitationsResponse = await studio.as_owner().ListInvitations(request)
    return answer


def _revoke(studio: Studio, name: str) -> Any:
    return studio.as_owner().RevokeInvitation(pb.RevokeInvitationRequest(name=name, request_id=key()))


async def _accept(identity: Running, account: UUID | None, token: str) -> Any:
    stub = identity.as_account(IdentityServiceStub, account)
    return await stub.AcceptInvitation(pb.AcceptInvitationRequest(token=token, request_id=key()))


async def _mail_link(identity: Running, invitation_id: str) -> pb.GetMailLinkResponse:
    notify = identity.as_service(IdentityServiceStub, "notify")
    answer: pb.GetMailLinkResponse = await notify.GetMailLink(pb.GetMailLinkRequest(invitation_id=invitation_id))
    return answer


def _id(invitation: Invitation) -> str:
    return invitation.name.rpartition("/")[2]
