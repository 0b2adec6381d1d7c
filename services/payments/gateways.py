"""The payment provider that the environment names."""

from functools import cache

from services.chassis.settings import ServiceSettings
from services.payments.providers.card_gateway import CardGateway
from services.payments.providers.membership_gateway import MembershipGateway
from services.payments.providers.stripe_calls import stripe_client
from services.payments.providers.stripe_gateway import StripeGateway
from services.payments.providers.stripe_memberships import StripeMemberships
from services.payments.settings import PaymentsSettings

# What rows call it.
PROVIDER = "stripe"


@cache
def gateway_of(settings: ServiceSettings) -> CardGateway:
    """With its open connections, one per process."""
    assert isinstance(settings, PaymentsSettings)
    return StripeGateway(settings.stripe_api_key, settings.stripe_api_url, settings.webhook_secrets)


@cache
def memberships_of(settings: ServiceSettings) -> MembershipGateway:
    """The same for memberships."""
    assert isinstance(settings, PaymentsSettings)
    return StripeMemberships(stripe_client(settings.stripe_api_key, settings.stripe_api_url))
