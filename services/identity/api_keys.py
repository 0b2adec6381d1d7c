"""API keys: credentials of programs, `phk_<id>_<secret>`, each with one role in one studio. Only a hash is stored."""

import hashlib
import hmac
import secrets
from uuid import UUID

from sqlalchemy import select

from services.chassis.clock import real_now
from services.chassis.db.paging import Page
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import NotFound, Unauthenticated
from services.chassis.ids import new_id
from services.identity.models import ApiKey

PREFIX = "phk"


async def create(tx: UnitOfWork, display_name: str, role: int) -> tuple[ApiKey, str]:
    """A new key of the studio: its row, and the key itself, which cannot be had again."""
    secret = secrets.token_urlsafe(32)
    key = ApiKey(
        tenant_id=tx.tenant,
        id=new_id(),
        display_name=display_name,
        role=role,
        secret_hash=_hash(secret),
        hint=secret[-4:],
        create_time=real_now(),
    )
    tx.session.add(key)
    await tx.session.flush()
    return key, f"{PREFIX}_{key.id.hex}_{secret}"


async def revoke(tx: UnitOfWork, key_id: UUID) -> ApiKey:
    """Ends a key, whose tokens live on for at most a minute; one that has ended keeps its time. Raises NotFound."""
    key = await tx.session.get(ApiKey, (tx.tenant, key_id), with_for_update=True)
    if key is None:
        raise NotFound("API key")
    key.revoke_time = key.revoke_time or real_now()
    return key


async def use(tx: UnitOfWork, text: str) -> ApiKey:
    """The key that a program shows, of whatever studio.

    Raises Unauthenticated: API_KEY_INVALID for what is no key of ours, API_KEY_REVOKED for one that was.
    """
    prefix, _, rest = text.partition("_")
    id_text, _, secret = rest.partition("_")
    try:
        key_id = UUID(hex=id_text)
    except ValueError:
        key_id = None
    key = await tx.session.scalar(select(ApiKey).where(ApiKey.id == key_id)) if key_id else None
    if key is None or prefix != PREFIX or not hmac.compare_digest(key.secret_hash, _hash(secret)):
        raise Unauthenticated("this is no API key of ours", reason="API_KEY_INVALID")
    if key.revoke_time:
        raise Unauthenticated("the API key was revoked", reason="API_KEY_REVOKED")
    return key


async def page_of(tx: UnitOfWork, page: Page) -> tuple[list[ApiKey], str]:
    """The studio's keys, newest first, and the token of the next page."""
    query = select(ApiKey).where(ApiKey.tenant_id == tx.tenant).order_by(ApiKey.id.desc()).limit(page.limit)
    if page.after:
        query = query.where(ApiKey.id < page.after[0])
    return page.cut((await tx.session.scalars(query)).all(), lambda key: (key.id,))


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
