"""Ids: UUIDv7 (RFC 9562), so that rows made together lie together; and resource names."""

import os
import time
from uuid import UUID, uuid5

from services.chassis.errors import InvalidArgument

# Stands for "no studio" where a tenant is part of a key.
NO_TENANT = UUID(int=0)


def new_id() -> UUID:
    """A new UUIDv7."""
    value = bytearray((time.time_ns() // 1_000_000).to_bytes(6, "big") + os.urandom(10))
    value[6] = 0x70 | value[6] & 0x0F
    value[8] = 0x80 | value[8] & 0x3F
    return UUID(bytes=bytes(value))


def derived_id(origin: UUID, name: str) -> UUID:
    """The id of something that belongs to another and has a name there: the same each time (UUIDv5, RFC 9562)."""
    return uuid5(origin, name)


def parse_name(name: str, pattern: str, field: str) -> tuple[UUID, ...]:
    """The ids in a resource name: `parse_name(name, "studios/*/rooms/*", "name")`.

    Raises InvalidArgument for `field` when the name does not have that form.
    """
    parts, wanted = name.split("/"), pattern.split("/")
    if len(parts) == len(wanted) and all(w in ("*", p) for p, w in zip(parts, wanted, strict=True)):
        try:
            return tuple(_parse_id(p) for p, w in zip(parts, wanted, strict=True) if w == "*")
        except ValueError:
            pass
    raise InvalidArgument(field, f"must look like {pattern.replace('*', '{id}')}", reason="MALFORMED_NAME")


def parse_child(name: str, pattern: str, field: str, tenant: UUID) -> UUID:
    """The last id of a resource name that must lie in the studio `tenant`.

    Raises InvalidArgument for `field` when malformed or when it names another studio's resource.
    """
    ids = parse_name(name, pattern, field)
    if ids[0] != tenant:
        raise InvalidArgument(field, "names a resource of another studio", reason="FOREIGN_RESOURCE")
    return ids[-1]


def _parse_id(text: str) -> UUID:
    value = UUID(text)
    if str(value) != text:  # one spelling only, so that names compare as text
        raise ValueError(text)
    return value
