"""Subscriptions."""

from embedded.sandboxes.stripe.merchant import Merchant


def end_all(merchant: Merchant, customer: str) -> None:
    """Ends what a customer is subscribed to."""
