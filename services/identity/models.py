"""identity's tables. All lie outside row level security (docs/adr/0006): they are read before a studio is known."""

from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import CheckConstraint, ForeignKey, Index, MetaData, Text, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.chassis.db.models import COLUMN_TYPES, NAMING, Tenanted
from services.chassis.ids import new_id


class Base(DeclarativeBase):
    """Metadata of this service's own tables; the chassis' tables come with the chassis."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map: ClassVar[dict[Any, Any]] = {**COLUMN_TYPES, str: Text()}


class Account(Base):
    """Someone who can sign in. Of no studio: one person may work at one and attend classes at another."""

    __tablename__ = "accounts"
    __table_args__ = (Index("uq_accounts_email", text("lower(email)"), unique=True),)

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    # As `accounts.normalised` made it.
    email: Mapped[str]
    display_name: Mapped[str]
    # argon2id in PHC form: parameters, salt and hash.
    password_hash: Mapped[str]
    create_time: Mapped[datetime]
    update_time: Mapped[datetime]


class Session(Base):
    """A signed-in browser. Real time: it ends 14 days after its last use and 30 days after it began."""

    __tablename__ = "sessions"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    # SHA-256 of the token, which is stored nowhere.
    token_hash: Mapped[bytes] = mapped_column(unique=True)
    create_time: Mapped[datetime] = mapped_column(index=True)
    last_use_time: Mapped[datetime] = mapped_column(index=True)


class PasswordReset(Base):
    """A link by mail that sets a new password, once. Real time."""

    __tablename__ = "password_resets"

    id: Mapped[UUID] = mapped_column(primary_key=True, default=new_id)
    # None when nobody has the address that was asked for: the request must not show the difference.
    account_id: Mapped[UUID | None] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    create_time: Mapped[datetime] = mapped_column(index=True)
    expire_time: Mapped[datetime]
    # When it was used, or made void by the use of another.
    use_time: Mapped[datetime | None]


class Attempt(Base):
    """A try that counts against an address until it succeeds: one row for each subject it counts against. Real time."""

    __tablename__ = "attempts"
    __table_args__ = (Index("ix_attempts_subject_create_time", "subject", "create_time"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    # Keyed hash of an e-mail or client address.
    subject: Mapped[bytes] = mapped_column(primary_key=True)
    create_time: Mapped[datetime] = mapped_column(index=True)


class RoleBinding(Base, Tenanted):
    """The role of an account in a studio."""

    __tablename__ = "role_bindings"
    __table_args__ = (
        Index("uq_role_bindings_tenant_id_account_id_role", "tenant_id", "account_id", "role", unique=True),
        CheckConstraint("role BETWEEN 1 AND 4", name="role"),
    )

    account_id: Mapped[UUID] = mapped_column(ForeignKey("accounts.id", ondelete="CASCADE"), index=True)
    role: Mapped[int]
    create_time: Mapped[datetime]


class Invitation(Base, Tenanted):
    """An offer of a role by mail. Business time."""

    __tablename__ = "invitations"
    __table_args__ = (
        Index("uq_invitations_id", "id", unique=True),
        Index(
            "uq_invitations_pending",
            "tenant_id",
            text("lower(email)"),
            "role",
            unique=True,
            postgresql_where=text("state = 'pending'"),
        ),
        CheckConstraint("role BETWEEN 1 AND 4", name="role"),
        CheckConstraint("state IN ('pending', 'accepted', 'revoked', 'expired')", name="state"),
    )

    email: Mapped[str]
    role: Mapped[int]
    # `pending` past its expire_time counts as expired.
    state: Mapped[str]
    expire_time: Mapped[datetime]
    create_time: Mapped[datetime]


class ApiKey(Base, Tenanted):
    """A credential of a program, with one role in one studio."""

    __tablename__ = "api_keys"
    __table_args__ = (
        Index("uq_api_keys_id", "id", unique=True),
        CheckConstraint("role BETWEEN 1 AND 4", name="role"),
    )

    display_name: Mapped[str]
    role: Mapped[int]
    # SHA-256 of the secret, which is stored nowhere.
    secret_hash: Mapped[bytes]
    # The last four characters of the secret.
    hint: Mapped[str]
    create_time: Mapped[datetime]
    revoke_time: Mapped[datetime | None]
