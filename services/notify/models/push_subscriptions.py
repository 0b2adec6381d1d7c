"""Browsers that listen to what clients are sent."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Index, UniqueConstraint
from sqlalchemy.orm import Mapped

from services.chassis.db.models import Tenanted
from services.notify.models.base import Base


class PushSubscription(Tenanted, Base):
    """That a browser shows what a client is sent, for the account that acts for the client."""

    __tablename__ = "push_subscriptions"

    client_id: Mapped[UUID]
    # Who sits at the browser; a client that this account does not act for any more is not shown there.
    account_id: Mapped[UUID]
    # As the browser's Push API gave them.
    endpoint: Mapped[str]
    p256dh: Mapped[str]
    auth: Mapped[str]
    create_time: Mapped[datetime]

    __table_args__ = (
        UniqueConstraint("tenant_id", "endpoint", "client_id", name="uq_push_subscriptions_once"),
        Index(None, "tenant_id", "client_id", "id"),
    )
