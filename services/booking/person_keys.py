"""A key for each client: what is written about a person is encrypted with it, and unreadable once it is destroyed.

A merged client's key goes over to the survivor with what it encrypts, so a client may hold several; new text is always
encrypted with its own, which bears the client's id.
"""

from collections.abc import Collection
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.postgresql import insert

from services.booking.models import ClientKey, StudioId
from services.booking.settings import BookingSettings
from services.chassis.config import ConfigurationError
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources
from services.chassis.settings import ServiceSettings

# Keys of one transaction.
_PAGE = 500


class PersonKeys:
    """Opens the keys of clients with those of the settings."""

    def __init__(self, settings: ServiceSettings) -> None:
        if not isinstance(settings, BookingSettings):
            raise ConfigurationError("booking needs its own settings")
        self._first, *_ = fernets = settings.fernets()
        self._wrapping = MultiFernet(fernets)

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

    def rewrap(self, wrapped: bytes) -> bytes:
        """The same key wrapped by the first of the settings' keys."""
        try:
            self._first.decrypt(wrapped)
        except InvalidToken:
            return self._wrapping.rotate(wrapped)
        return wrapped

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


async def rewrap_all(resources: Resources) -> str:
    """Wraps the keys of all clients with the first of the settings' keys, so that the others may go; says how many.

    May end anywhere and be run again, also beside the service.
    """
    keys, seen, wrapped_anew = PersonKeys(resources.settings), 0, 0
    async with resources.database.transaction() as tx:
        studios = (await tx.session.scalars(select(StudioId.studio_id).order_by(StudioId.studio_id))).all()
    for studio in studios:
        after = UUID(int=0)
        while True:
            async with resources.database.transaction(studio) as tx:
                query = select(ClientKey.id, ClientKey.wrapped).where(
                    ClientKey.tenant_id == studio, ClientKey.id > after
                )
                page = (await tx.session.execute(query.order_by(ClientKey.id).limit(_PAGE).with_for_update())).all()
                for key_id, wrapped in page:
                    anew = keys.rewrap(wrapped)
                    if anew != wrapped:
                        this = (ClientKey.tenant_id == studio, ClientKey.id == key_id)
                        await tx.session.execute(update(ClientKey).where(*this).values(wrapped=anew))
                        wrapped_anew += 1
            seen += len(page)
            if len(page) < _PAGE:
                break
            after = page[-1].id
    return f"{wrapped_anew} of {seen} keys of clients wrapped anew"
