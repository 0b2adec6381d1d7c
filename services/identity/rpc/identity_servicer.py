"""IdentityService: decode, call the noun, encode."""

from typing import Any

from powerhouse.identity.v1 import account_pb2
from powerhouse.identity.v1 import identity_service_pb2 as pb
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceServicer
from services.chassis.config import ConfigurationError
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_child, parse_name
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import to_timestamp
from services.identity import (
    accounts,
    api_keys,
    audit,
    invitations,
    password_resets,
    principals,
    role_bindings,
    sessions,
)
from services.identity.credentials import Credentials
from services.identity.links import LinkExpired, Links
from services.identity.passwords import Passwords
from services.identity.rpc.encoding import (
    encode_account,
    encode_api_key,
    encode_audit_entry,
    encode_invitation,
    encode_mail_link,
    encode_role_binding,
    encode_session,
    encode_staff,
)
from services.identity.settings import IdentitySettings
from services.identity.signing import open_signer
from services.identity.throttle import Throttle


class IdentityServicer(IdentityServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        """Raises ConfigurationError when the settings hold no key that services can verify."""
        settings = resources.settings
        if not isinstance(settings, IdentitySettings):
            raise ConfigurationError("identity needs its own settings")
        self._database, self._pager = resources.database, resources.pager
        self._signer = open_signer(settings.token_private_key, settings.token_jwks_file)
        self._links = Links(settings.secret)
        self._credentials = Credentials(self._database, Passwords(), Throttle(settings.secret), self._links)

    async def SignUp(self, request: pb.SignUpRequest, context: Any) -> pb.SessionResponse:
        new = await self._credentials.new_account(
            request.email, request.display_name, request.password, current_call().client_address
        )

        async def change(tx: UnitOfWork) -> pb.SessionResponse:
            account, session, token = await self._credentials.sign_up(tx, new)
            tx.resource = f"accounts/{account.id}"
            return encode_session(account, session, token)

        return await self._database.write(change)

    async def SignIn(self, request: pb.SignInRequest, context: Any) -> pb.SessionResponse:
        proven = await self._credentials.proven_account(request.email, request.password, current_call().client_address)

        async def change(tx: UnitOfWork) -> pb.SessionResponse:
            account, session, token = await self._credentials.sign_in(tx, proven)
            tx.resource = f"accounts/{account.id}"
            return encode_session(account, session, token)

        return await self._database.write(change)

    async def SignOut(self, request: pb.SignOutRequest, context: Any) -> pb.SessionResponse:
        call = current_call()

        async def change(tx: UnitOfWork) -> pb.SessionResponse:
            await sessions.end(tx, call.principal.session_id, call.account())
            return pb.SessionResponse()

        return await self._database.write(change)

    async def GetMyAccount(self, request: pb.GetMyAccountRequest, context: Any) -> pb.GetMyAccountResponse:
        async with self._database.read() as tx:
            account = await accounts.get(tx, current_call().account())
            bindings = await role_bindings.of_account(tx, account.id)
        return pb.GetMyAccountResponse(
            account=encode_account(account),
            role_bindings=[encode_role_binding(binding, account) for binding in bindings],
        )

    async def RequestPasswordReset(
        self, request: pb.RequestPasswordResetRequest, context: Any
    ) -> pb.RequestPasswordResetResponse:
        email = await self._credentials.allow_reset_request(request.email, current_call().client_address)

        async def change(tx: UnitOfWork) -> pb.RequestPasswordResetResponse:
            await password_resets.request(tx, email)
            return pb.RequestPasswordResetResponse()

        return await self._database.write(change)

    async def ResetPassword(self, request: pb.ResetPasswordRequest, context: Any) -> pb.ResetPasswordResponse:
        new = await self._credentials.new_password(request.token, request.new_password)

        async def change(tx: UnitOfWork) -> pb.ResetPasswordResponse:
            account = await self._credentials.reset_password(tx, new)
            tx.resource = f"accounts/{account.id}"
            return pb.ResetPasswordResponse()

        return await self._database.write(change)

    async def ExchangeToken(self, request: pb.ExchangeTokenRequest, context: Any) -> pb.ExchangeTokenResponse:
        async with self._database.transaction() as tx:
            if request.HasField("session_token"):
                principal = await principals.of_session(tx, request.session_token)
            else:
                principal = await principals.of_api_key(tx, request.api_key)
        token, expire_time = self._signer.sign(principal, request.audience)
        return pb.ExchangeTokenResponse(token=token, expire_time=to_timestamp(expire_time))

    async def ListRoleBindings(self, request: pb.ListRoleBindingsRequest, context: Any) -> pb.ListRoleBindingsResponse:
        page = self._page("role bindings", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows, next_page = await role_bindings.page_of(tx, page)
        return pb.ListRoleBindingsResponse(
            role_bindings=[encode_role_binding(*row) for row in rows], next_page_token=next_page
        )

    async def DeleteRoleBinding(self, request: pb.DeleteRoleBindingRequest, context: Any) -> account_pb2.RoleBinding:
        binding_id = parse_child(request.name, "studios/*/roleBindings/*", "name", current_call().tenant)

        async def change(tx: UnitOfWork) -> account_pb2.RoleBinding:
            return encode_role_binding(*(await role_bindings.take_away(tx, binding_id)))

        return await self._database.write(change)

    async def CreateInvitation(self, request: pb.CreateInvitationRequest, context: Any) -> account_pb2.Invitation:
        email = accounts.normalised(request.invitation.email, "invitation.email")

        async def change(tx: UnitOfWork) -> account_pb2.Invitation:
            return encode_invitation(await invitations.create(tx, email, request.invitation.role), tx.now())

        return await self._database.write(change)

    async def ListInvitations(self, request: pb.ListInvitationsRequest, context: Any) -> pb.ListInvitationsResponse:
        page = self._page("invitations", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows, next_page = await invitations.page_of(tx, page)
        return pb.ListInvitationsResponse(
            invitations=[encode_invitation(row, tx.now()) for row in rows], next_page_token=next_page
        )

    async def RevokeInvitation(self, request: pb.RevokeInvitationRequest, context: Any) -> account_pb2.Invitation:
        invitation_id = parse_child(request.name, "studios/*/invitations/*", "name", current_call().tenant)

        async def change(tx: UnitOfWork) -> account_pb2.Invitation:
            return encode_invitation(await invitations.revoke(tx, invitation_id), tx.now())

        return await self._database.write(change)

    async def AcceptInvitation(self, request: pb.AcceptInvitationRequest, context: Any) -> account_pb2.RoleBinding:
        invitation_id = self._links.read("invitation", request.token)
        if invitation_id is None:
            raise LinkExpired

        async def change(tx: UnitOfWork) -> account_pb2.RoleBinding:
            account = await accounts.get(tx, current_call().account())
            return encode_role_binding(await invitations.accept(tx, invitation_id, account.id), account)

        return await self._database.write(change)

    async def CreateApiKey(self, request: pb.CreateApiKeyRequest, context: Any) -> account_pb2.ApiKey:
        display_name = accounts.label(request.api_key.display_name, "api_key.display_name")

        async def change(tx: UnitOfWork) -> account_pb2.ApiKey:
            return encode_api_key(*(await api_keys.create(tx, display_name, request.api_key.role)))

        return await self._database.write(change)

    async def ListApiKeys(self, request: pb.ListApiKeysRequest, context: Any) -> pb.ListApiKeysResponse:
        page = self._page("API keys", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows, next_page = await api_keys.page_of(tx, page)
        return pb.ListApiKeysResponse(api_keys=[encode_api_key(row) for row in rows], next_page_token=next_page)

    async def RevokeApiKey(self, request: pb.RevokeApiKeyRequest, context: Any) -> account_pb2.ApiKey:
        key_id = parse_child(request.name, "studios/*/apiKeys/*", "name", current_call().tenant)

        async def change(tx: UnitOfWork) -> account_pb2.ApiKey:
            return encode_api_key(await api_keys.revoke(tx, key_id))

        return await self._database.write(change)

    async def ListAuditEntries(self, request: pb.ListAuditEntriesRequest, context: Any) -> pb.ListAuditEntriesResponse:
        page = self._page("audit entries", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows, next_page = await audit.page_of(tx, page)
        return pb.ListAuditEntriesResponse(
            audit_entries=[encode_audit_entry(row) for row in rows], next_page_token=next_page
        )

    async def GetStaffRecipients(
        self, request: pb.GetStaffRecipientsRequest, context: Any
    ) -> pb.GetStaffRecipientsResponse:
        async with self._database.read() as tx:
            accounts_found = await role_bindings.staff(tx, request.roles)
        return pb.GetStaffRecipientsResponse(recipients=[encode_staff(account) for account in accounts_found])

    async def GetMailLink(self, request: pb.GetMailLinkRequest, context: Any) -> pb.GetMailLinkResponse:
        async with self._database.transaction() as tx:
            if request.HasField("invitation_id"):
                invitation_id = parse_name(request.invitation_id, "*", "invitation_id")[0]
                return encode_mail_link(await invitations.mail_link(tx, invitation_id, self._links))
            reset_id = parse_name(request.password_reset_id, "*", "password_reset_id")[0]
            return encode_mail_link(await password_resets.mail_link(tx, reset_id, self._links))

    def _page(self, listed: str, page_size: int, page_token: str) -> Page:
        """The page of a list of the call's studio."""
        return self._pager.page(f"{listed} of {current_call().tenant}", page_size, page_token)
