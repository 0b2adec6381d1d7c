"""HTTP to a provider: kept connections, a time-out on each call, and what their failures mean."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import httpx

from services.notify.providers.answers import NotReached, Unclear

# Seconds one call may take; longer than a provider's worst day, shorter than anyone's patience.
TIMEOUT = 10.0
LONGEST_PAUSE = 3600.0


@contextmanager
def reaching(whom: str) -> Iterator[None]:
    """Raises NotReached for a connection that was never made, Unclear for an answer that never came."""
    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout):
        raise NotReached(f"{whom} could not be reached") from None
    except httpx.HTTPError:
        raise Unclear(f"{whom} did not answer in time") from None


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds a provider asks to wait; the form with a date is not used by ours."""
    value = {name.lower(): text for name, text in headers.items()}.get("retry-after", "")
    return min(float(value), LONGEST_PAUSE) if value.isdecimal() else None
