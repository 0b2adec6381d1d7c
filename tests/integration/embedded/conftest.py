"""Fixtures of the Stripe contract suite."""

from tests.integration.embedded.stripe_like import our_sandbox, stripe_like, studio

__all__ = ["our_sandbox", "stripe_like", "studio"]
