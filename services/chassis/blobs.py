"""Files of a studio, in chunks in its service's own database: known by content, streamed in and out, with a lifetime.

Each chunk is a transaction of its own, so that a slow upload holds no connection; memory holds one chunk.
"""

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import text

from services.chassis.clock import real_now
from services.chassis.db.database import Database
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument, NotFound
from services.chassis.ids import new_id

CHUNK = 256 * 1024
# How long what nobody uses is kept, and what an upload left behind.
UNUSED = timedelta(hours=1)

_ADD_CHUNK = text(
    "INSERT INTO blob_chunks (tenant_id, upload_id, position, data) VALUES (:tenant, :upload, :position, :data)"
)
# If the content was there before, its own chunks stay, and those of this upload are of no blob.
_ADD = text(
    "INSERT INTO blobs (tenant_id, sha256, upload_id, content_type, size, expire_time)"
    " VALUES (:tenant, :sha256, :upload, :content_type, :size, :expire)"
    " ON CONFLICT (tenant_id, sha256) DO UPDATE SET expire_time = greatest(blobs.expire_time, excluded.expire_time)"
)
_USE = text(
    "UPDATE blobs SET used_by = array_append(array_remove(used_by, :user), :user)"
    " WHERE tenant_id = :tenant AND sha256 = :sha256 RETURNING 1"
)
_LET_GO = text(
    "UPDATE blobs SET used_by = array_remove(used_by, :user), expire_time = :expire"
    " WHERE tenant_id = :tenant AND sha256 = :sha256"
)
_FIND = text("SELECT content_type, size FROM blobs WHERE tenant_id = :tenant AND sha256 = :sha256")
_CHUNK = text(
    "SELECT c.data FROM blobs b JOIN blob_chunks c ON c.tenant_id = b.tenant_id AND c.upload_id = b.upload_id"
    " WHERE b.tenant_id = :tenant AND b.sha256 = :sha256 AND c.position = :position"
)
_DELETE_CHUNKS = text(
    "DELETE FROM blob_chunks c USING blobs b WHERE b.tenant_id = :tenant AND b.sha256 = :sha256 AND b.used_by = '{}'"
    " AND c.tenant_id = b.tenant_id AND c.upload_id = b.upload_id"
)
_DELETE = text("DELETE FROM blobs WHERE tenant_id = :tenant AND sha256 = :sha256 AND used_by = '{}'")
_DELETE_UNUSED = text("DELETE FROM blobs WHERE tenant_id = :tenant AND used_by = '{}' AND expire_time < :now")
_DELETE_LEFT_OVER = text(
    "DELETE FROM blob_chunks c WHERE tenant_id = :tenant AND create_time < :old AND NOT EXISTS"
    " (SELECT FROM blobs b WHERE b.tenant_id = c.tenant_id AND b.upload_id = c.upload_id)"
)


@dataclass(frozen=True)
class Blob:
    """What is known of stored content."""

    sha256: bytes
    content_type: str
    size: int

    @property
    def etag(self) -> str:
        return self.sha256.hex()


async def store(
    database: Database,
    tenant: UUID,
    pieces: AsyncIterator[bytes],
    *,
    field: str,
    limit: int,
    type_of: Callable[[bytes], str | None],
) -> Blob:
    """Stores what comes, unused at first: call `use` soon, in the transaction that shows it.

    `type_of` tells the content type by the first bytes, None for what is not wanted. Raises InvalidArgument for
    `field` when it is not wanted, empty, or longer than `limit` bytes; and what `pieces` raises.
    """
    upload, digest, size, content_type = new_id(), hashlib.sha256(), 0, ""
    async for position, chunk in _chunks(pieces):
        size += len(chunk)
        if size > limit:
            raise InvalidArgument(field, f"is larger than {limit} bytes", reason="BLOB_TOO_LARGE")
        if not position:
            content_type = type_of(chunk) or ""
        if not content_type:
            raise InvalidArgument(field, "is of a type that is not accepted here", reason="BLOB_TYPE_NOT_ACCEPTED")
        digest.update(chunk)
        async with database.transaction(tenant) as tx:
            values = {"tenant": tenant, "upload": upload, "position": position, "data": chunk}
            await tx.session.execute(_ADD_CHUNK, values)
    if not size:
        raise InvalidArgument(field, "is empty")
    blob = Blob(digest.digest(), content_type, size)
    async with database.transaction(tenant) as tx:
        values = {
            **_key(tx, blob.sha256),
            "upload": upload,
            "content_type": content_type,
            "size": size,
            "expire": real_now() + UNUSED,
        }
        await tx.session.execute(_ADD, values)
    return blob


async def use(tx: UnitOfWork, sha256: bytes, user: str) -> None:
    """Keeps a blob for as long as `user`, the name of a resource, shows it. Raises NotFound when it is gone."""
    if (await tx.session.execute(_USE, {**_key(tx, sha256), "user": user})).first() is None:
        raise NotFound("blob")


async def let_go(tx: UnitOfWork, sha256: bytes, user: str) -> None:
    """`user` shows it no more."""
    values = {**_key(tx, sha256), "user": user, "expire": real_now() + UNUSED}
    await tx.session.execute(_LET_GO, values)


async def remove(tx: UnitOfWork, sha256: bytes, user: str) -> None:
    """`user` shows it no more, and it goes now unless somebody else does."""
    await let_go(tx, sha256, user)
    await tx.session.execute(_DELETE_CHUNKS, _key(tx, sha256))
    await tx.session.execute(_DELETE, _key(tx, sha256))


async def find(tx: UnitOfWork, sha256: bytes) -> Blob:
    """Raises NotFound."""
    row = (await tx.session.execute(_FIND, _key(tx, sha256))).first()
    if row is None:
        raise NotFound("blob")
    return Blob(sha256, row.content_type, row.size)


async def content(database: Database, tenant: UUID, blob: Blob, start: int = 0) -> AsyncIterator[bytes]:
    """The bytes from `start` on, read a chunk at a time as they are wanted. Raises NotFound when it goes meanwhile."""
    first, skipped = divmod(start, CHUNK)
    for position in range(first, -(-blob.size // CHUNK)):
        async with database.transaction(tenant) as tx:
            data = await tx.session.scalar(_CHUNK, {**_key(tx, blob.sha256), "position": position})
        if data is None:
            raise NotFound("blob")
        yield data[skipped:] if position == first else data


async def sweep(tx: UnitOfWork) -> None:
    """Deletes blobs of the studio that nobody uses any more, and chunks of no blob. For a tick of each owner."""
    await tx.session.execute(_DELETE_UNUSED, {"tenant": tx.tenant, "now": real_now()})
    await tx.session.execute(_DELETE_LEFT_OVER, {"tenant": tx.tenant, "old": real_now() - UNUSED})


async def _chunks(pieces: AsyncIterator[bytes]) -> AsyncIterator[tuple[int, bytes]]:
    """The same bytes, cut to the size of a chunk."""
    position, held = 0, bytearray()
    async for piece in pieces:
        held += piece
        while len(held) >= CHUNK:
            yield position, bytes(held[:CHUNK])
            del held[:CHUNK]
            position += 1
    if held:
        yield position, bytes(held)


def _key(tx: UnitOfWork, sha256: bytes) -> dict[str, object]:
    return {"tenant": tx.tenant, "sha256": sha256}
