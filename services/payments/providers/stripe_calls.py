"""Calls of Stripe by its SDK: the client, what its errors mean, lists page by page, and the small words of its wire."""

from collections.abc import AsyncIterator, Awaitable
from datetime import UTC, datetime
from typing import Any, TypeVar

import stripe

from services.payments.providers.card_gateway import Away, Refused, SavedCard

# Seconds one call may take.
TIMEOUT = 20.0
# What we call our payments and memberships in Stripe's metadata.
REFERENCE = "powerhouse_payment"

T = TypeVar("T")


def stripe_client(api_key: str, api_url: str, timeout: float = TIMEOUT) -> stripe.StripeClient:
    """The SDK, with one key."""
    return stripe.StripeClient(
        api_key,
        base_addresses={"api": api_url.rstrip("/")},
        http_client=stripe.HTTPXClient(timeout=timeout, allow_sync_methods=False),
        # A repeat is ours to decide: it comes with the key that was stored.
        max_network_retries=0,
    )


async def ask(call: Awaitable[T]) -> T:
    """Awaits a call of the SDK and says what its errors mean. Their texts may quote a request: codes alone are kept."""
    try:
        return await call
    except stripe.RateLimitError as error:
        raise Away("too many calls") from error
    except (stripe.CardError, stripe.InvalidRequestError, stripe.PermissionError) as error:
        # In flight under the same key: the outcome will be known.
        if error.http_status == 409:
            raise Away("the same call is under way") from error
        raise Refused(f"the provider answered {error.http_status} {error.code}", error.code or "") from error
    except stripe.StripeError as error:
        raise Away(f"the provider answered {error.http_status or 'nothing'}") from error


async def each_of(page: Any) -> AsyncIterator[dict[str, Any]]:
    """Everything of a list, page by page."""
    while True:
        for item in page.data:
            yield item.to_dict()
        if not page.has_more:
            return
        page = await ask(page.next_page_async())


def options_of(account: str, key: str = "") -> Any:
    """Whose call it is, and its key."""
    options = {"stripe_account": account, "idempotency_key": key}
    return {name: value for name, value in options.items() if value}


def time_of(seconds: int) -> datetime:
    """An instant of Stripe's."""
    return datetime.fromtimestamp(seconds, UTC)


def id_of(reference: Any) -> str:
    """Of what is an id, or expanded."""
    return str(reference["id"]) if isinstance(reference, dict) else str(reference or "")


def card_of(method: dict[str, Any]) -> SavedCard:
    """A payment method, as people know it."""
    details = method.get(method["type"]) or {}
    return SavedCard(
        external_id=method["id"],
        brand=details.get("brand") or method["type"],
        last4=details.get("last4") or "",
        expire_month=details.get("exp_month") or 0,
        expire_year=details.get("exp_year") or 0,
    )
