"""What a reader may keep and for how long, and telling one that what they have is still true."""

from __future__ import annotations

from collections.abc import Mapping


def is_known(etag: str, headers: Mapping[str, str]) -> bool:
    """Whether the request says by If-None-Match that its sender has this ETag already."""
    given = [entry.strip().removeprefix("W/") for entry in headers.get("if-none-match", "").split(",")]
    return etag.removeprefix("W/") in given or given == ["*"]
