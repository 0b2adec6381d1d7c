"""identity's rows as messages."""

from datetime import datetime
from typing import cast

from powerhouse.identity.v1 import account_pb2, identity_service_pb2
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.rpc.codec import to_timestamp
from services.identity import audit, invitations, sessions
from services.identity.links import MailLink
from services.identity.models import Account, ApiKey, Invitation, RoleBinding, Session


def encode_account(account: Account) -> account_pb2.Account:
    return account_pb2.Account(
        name=f"accounts/{account.id}",
        email=account.email,
        display_name=account.display_name,
        create_time=to_timestamp(account.create_time),
    )


def encode_session(account: Account, session: Session, token: str) -> identity_service_pb2.SessionResponse:
    return identity_service_pb2.SessionResponse(
        session_token=token,
        account=encode_account(account),
        expire_time=to_timestamp(sessions.expire_time(session)),
    )


def encode_role_binding(binding: RoleBinding, account: Account) -> account_pb2.RoleBinding:
    return account_pb2.RoleBinding(
        name=f"studios/{binding.tenant_id}/roleBindings/{binding.id}",
        account=f"accounts/{account.id}",
        account_display_name=account.display_name,
        account_email=account.email,
        role=_role(binding.role),
        create_time=to_timestamp(binding.create_time),
    )


def encode_invitation(invitation: Invitation, now: datetime) -> account_pb2.Invitation:
    return account_pb2.Invitation(
        name=f"studios/{invitation.tenant_id}/invitations/{invitation.id}",
        email=invitation.email,
        role=_role(invitation.role),
        state=account_pb2.Invitation.State.Value(invitations.state(invitation, now).upper()),
        expire_time=to_timestamp(invitation.expire_time),
        create_time=to_timestamp(invitation.create_time),
    )


def encode_api_key(key: ApiKey, secret: str = "") -> account_pb2.ApiKey:
    """`secret` only in the answer that creates the key."""
    return account_pb2.ApiKey(
        name=f"studios/{key.tenant_id}/apiKeys/{key.id}",
        display_name=key.display_name,
        role=_role(key.role),
        secret=secret,
        hint=key.hint,
        create_time=to_timestamp(key.create_time),
        revoke_time=to_timestamp(key.revoke_time),
    )


def encode_audit_entry(entry: audit.Entry) -> account_pb2.AuditEntry:
    return account_pb2.AuditEntry(
        name=f"studios/{entry.tenant_id}/auditEntries/{entry.id}",
        principal=entry.principal,
        method=entry.method,
        resource=entry.resource,
        create_time=to_timestamp(entry.create_time),
    )


def encode_staff(account: Account) -> identity_service_pb2.GetStaffRecipientsResponse.Recipient:
    return identity_service_pb2.GetStaffRecipientsResponse.Recipient(
        account_id=str(account.id), email=account.email, display_name=account.display_name
    )


def encode_mail_link(link: MailLink) -> identity_service_pb2.GetMailLinkResponse:
    return identity_service_pb2.GetMailLinkResponse(
        email=link.email,
        display_name=link.display_name,
        token=link.token,
        expire_time=to_timestamp(link.expire_time),
        role=_role(link.role),
    )


def _role(role: int | None) -> "Role.ValueType":
    return cast("Role.ValueType", role or Role.ROLE_UNSPECIFIED)
