"""Invitations: offers of a role by mail, valid for seven days. Business time.

Whoever holds the link may accept, with any account: the link proves that the mail was received, and people sign in with
another address than the one their studio knows. The audit entry and the list of roles show which account it was.
"""

from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from powerhouse.identity.v1.events_pb2 import InvitationCreated
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import AlreadyExists, FailedPrecondition, NotFound
from services.chassis.ids import new_id
from services.identity import role_bindings
from services.identity.links import LinkExpired, Links, MailLink
from services.identity.models import Invitation, RoleBinding

LIFETIME = timedelta(days=7)

PENDING, ACCEPTED, REVOKED, EXPIRED = "pending", "accepted", "revoked", "expired"


async def create(tx: UnitOfWork, email: str, role: int) -> Invitation:
    """`email` is normalised. Raises AlreadyExists (ALREADY_INVITED) while one is pending for that address and role."""
    now = tx.now()
    await tx.session.execute(
        update(Invitation)
        .where(
            Invitation.tenant_id == tx.tenant,
            func.lower(Invitation.email) == email,
            Invitation.role == role,
            Invitation.state == PENDING,
            Invitation.expire_time <= now,
        )
        .values(state=EXPIRED)
    )
    invitation: Invitation | None = await tx.session.scalar(
        insert(Invitation)
        .values(
            tenant_id=tx.tenant,
            id=new_id(),
            email=email,
            role=role,
            state=PENDING,
            expire_time=now + LIFETIME,
            create_time=now,
        )
        .on_conflict_do_nothing()
        .returning(Invitation)
    )
    if invitation is None:
        raise AlreadyExists("an invitation to this address is pending", reason="ALREADY_INVITED")
    await tx.publish(
        InvitationCreated(invitation_id=str(invitation.id)),
        aggregate="invitation",
        aggregate_id=invitation.id,
        version=1,
    )
    return invitation


async def revoke(tx: UnitOfWork, invitation_id: UUID) -> Invitation:
    """Raises NotFound, FailedPrecondition (INVITATION_NOT_PENDING)."""
    invitation = await tx.session.get(Invitation, (tx.tenant, invitation_id), with_for_update=True)
    if invitation is None:
        raise NotFound("invitation")
    if state(invitation, tx.now()) != PENDING:
        raise FailedPrecondition("this invitation is not pending any more", reason="INVITATION_NOT_PENDING")
    invitation.state = REVOKED
    return invitation


async def accept(tx: UnitOfWork, invitation_id: UUID, account_id: UUID) -> RoleBinding:
    """Gives the account the offered role; the transaction goes on in the inviting studio. Raises LinkExpired."""
    invitation = await _find(tx, invitation_id, lock=True)
    await tx.enter(invitation.tenant_id)
    invitation.state = ACCEPTED
    return await role_bindings.grant(tx, account_id, invitation.role)


async def mail_link(tx: UnitOfWork, invitation_id: UUID, links: Links) -> MailLink:
    """What the mail needs. Raises LinkExpired when there is nothing left to send."""
    invitation = await _find(tx, invitation_id)
    token = links.token("invitation", invitation.id)
    return MailLink(invitation.email, "", token, invitation.expire_time, invitation.role)


async def page_of(tx: UnitOfWork, page: Page) -> tuple[list[Invitation], str]:
    """The studio's invitations, newest first, and the token of the next page."""
    query = select(Invitation).where(Invitation.tenant_id == tx.tenant).order_by(Invitation.id.desc()).limit(page.limit)
    if page.after:
        query = query.where(Invitation.id < page.after[0])
    return page.cut((await tx.session.scalars(query)).all(), lambda invitation: (invitation.id,))


def state(invitation: Invitation, now: datetime) -> str:
    """Its state at the instant `now`."""
    overdue = invitation.state == PENDING and invitation.expire_time <= now
    return EXPIRED if overdue else invitation.state


async def _find(tx: UnitOfWork, invitation_id: UUID, *, lock: bool = False) -> Invitation:
    """A pending invitation, known by its link alone."""
    query = select(Invitation).where(Invitation.id == invitation_id)
    invitation: Invitation | None = await tx.session.scalar(query.with_for_update() if lock else query)
    if invitation is None or state(invitation, tx.now()) != PENDING:
        raise LinkExpired
    return invitation
