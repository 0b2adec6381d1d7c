"""A key for each client: what is written about a person is encrypted with it, and unreadable once it is destroyed.

A merged client's key goes over to the survivor with what it encrypts, so a client may hold several; new text is always
encrypted with its own, which bears the client's id.
"""

from collections.abc import Collection
from uuid import UUID

from cryptography.fernet import Fernet, MultiFernet
from sqlalchemy import delete, select
from sqlalchemy.dialects.postgresql import insert

from services.booking.models import ClientKey
from services.booking.settings import BookingSettings
from services.chassis.config import ConfigurationError
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.settings import ServiceSettings


class PersonKeys:
    """Opens the keys of clients with those of the settings."""

    def __init__(self, settings: ServiceSettings) -> None:
        if not isinstance(settings, BookingSettings):
            raise ConfigurationError("booking needs its own settings")
        self._wrapping = MultiFernet(settings.fernets())

    async def encrypt(self, tx: UnitOfWork, client_id: UUID, text: str) -> bytes:
        """The text under the client's own key, which is made when it is missing."""
        held = await self._open(tx, [client_id])
        if client_id not in held:
            wrapped = self._wrapping.encrypt(Fernet.generate_key())
            row = {"tenant_id": tx.tenant, "id": client_id, "client_id": client_id, "wrapped": wrapped}
            await tx.session.execute(insert(ClientKey).on_conflict_do_nothing(), row)
            held = await self._open(tx, [client_id])
        return held[client_id].encrypt(text.encode())

    async def decrypt(self, tx: UnitOfWork, texts: Collection[tuple[UUID, bytes]]) -> list[str]:
        """Texts by the key that encrypted each, in their order; empty where that was destroyed."""
        held = await self._open(tx, {key_id for key_id, _ in texts})
        return [held[key_id].decrypt(text).decode() if key_id in held else "" for key_id, text in texts]

    async def _open(self, tx: UnitOfWork, key_ids: Collection[UUID]) -> dict[UUID, Fernet]:
        query = select(ClientKey.id, ClientKey.wrapped).where(
            ClientKey.tenant_id == tx.tenant, ClientKey.id.in_(key_ids)
        )
        return {key_id: Fernet(self._wrapping.decrypt(wrapped)) for key_id, wrapped in await tx.session.execute(query)}


async def destroy(tx: UnitOfWork, client_id: UUID) -> None:
    """Makes everything written about the client, and about whom was merged into it, unreadable for good."""
    await tx.session.execute(
        delete(ClientKey).where(ClientKey.tenant_id == tx.tenant, ClientKey.client_id == client_id)
    )
