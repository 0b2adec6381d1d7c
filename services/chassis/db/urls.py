"""Where a service's database is, and as whom to open it.

`POWERHOUSE_DATABASE_URL` names a server with an administrator; each service has a database of its own there, an owner
role that only `migrate` uses, and an app role. Their passwords are derived from the administrator's, so that one secret
is enough.
`POWERHOUSE_<SERVICE>_DATABASE_URL` and `POWERHOUSE_<SERVICE>_OWNER_DATABASE_URL` override it.
"""

import hashlib
import hmac
import os
from collections.abc import Mapping
from urllib.parse import quote, unquote, urlsplit

from services.chassis.config import ConfigurationError, read


def database_name(service: str) -> str:
    return f"powerhouse_{service}"


def role_name(service: str, kind: str) -> str:
    """`kind` is `app` or `owner`."""
    return f"powerhouse_{service}_{kind}"


def role_password(admin_url: str, role: str) -> str:
    """The password of a role on the server that `admin_url` names."""
    secret = unquote(urlsplit(admin_url).password or "").encode()
    return hmac.new(secret, f"powerhouse role {role}".encode(), hashlib.sha256).hexdigest()


def derived_url(admin_url: str, service: str, kind: str) -> str:
    """The URL of a service's database as its `app` or `owner` role."""
    parts = urlsplit(admin_url)
    role = role_name(service, kind)
    port = f":{parts.port}" if parts.port else ""
    query = f"?{parts.query}" if parts.query else ""
    return (
        f"postgresql://{role}:{quote(role_password(admin_url, role))}@{parts.hostname}{port}"
        f"/{database_name(service)}{query}"
    )


def service_url(service: str, kind: str, environ: Mapping[str, str] = os.environ) -> str:
    """The URL to open: the override if there is one, else derived. Raises ConfigurationError when neither is set."""
    name = f"POWERHOUSE_{service.upper()}_{'OWNER_' if kind == 'owner' else ''}DATABASE_URL"
    if url := read(name, environ):
        return url
    if admin := read("POWERHOUSE_DATABASE_URL", environ):
        return derived_url(admin, service, kind)
    raise ConfigurationError(f"neither {name} nor POWERHOUSE_DATABASE_URL is set")


def sqlalchemy_url(url: str) -> str:
    """The same URL for SQLAlchemy's asyncpg dialect."""
    return url.replace("postgresql://", "postgresql+asyncpg://", 1)
