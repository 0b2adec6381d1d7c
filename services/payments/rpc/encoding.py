"""What payments has, as messages."""

from collections.abc import Sequence
from uuid import UUID

from powerhouse.payments.v1 import catalogue_pb2, merchant_service_pb2, purchase_service_pb2
from services.chassis.rpc.codec import to_timestamp
from services.chassis.settings import ServiceSettings
from services.payments import catalogue, gift_cards, kinds, purchases
from services.payments.catalogue import Sold
from services.payments.models import MerchantAccount, Payment, PaymentAttempt, PromoCode, Purchase, TaxRate, Terms
from services.payments.purchases import Offer
from services.payments.rpc.names import name_of
from services.payments.settings import PaymentsSettings

DECLINED = "Payment declined. Please try different card."
_MESSAGES = {"authentication_required": "Your bank wants you to confirm this payment. Please pay it now."}


def encode_account(account: MerchantAccount) -> merchant_service_pb2.MerchantAccount:
    pb = merchant_service_pb2.MerchantAccount
    missing = pb.RESTRICTED if account.was_active else pb.ONBOARDING
    return pb(
        name=f"studios/{account.tenant_id}/merchantAccount",
        state=pb.ACTIVE if account.charges_enabled else missing,
        external_account=account.external_account,
        currency_code=account.currency_code,
        charges_enabled=account.charges_enabled,
        payouts_enabled=account.payouts_enabled,
        requirements=account.requirements,
        wallets=account.wallets,
        create_time=to_timestamp(account.create_time),
        update_time=to_timestamp(account.update_time),
        etag=account.etag,
    )


def encode_option(sold: Sold) -> catalogue_pb2.PricingOption:
    option, terms = sold
    return catalogue_pb2.PricingOption(
        name=name_of(option.tenant_id, "pricingOptions", option.id),
        kind=catalogue_pb2.PricingOption.Kind.Value(option.kind),
        display_name=terms.display_name,
        price_minor=terms.price_minor,
        currency_code=terms.currency_code,
        credits=terms.credits,
        valid_days=terms.valid_days,
        starts_on_first_use=terms.starts_on_first_use,
        class_types=[name_of(option.tenant_id, "classTypes", each) for each in terms.class_type_ids],
        tax_rate=name_of(option.tenant_id, "taxRates", terms.tax_rate_id),
        intro_offer=terms.intro_offer,
        interval=encode_interval(terms),
        interval_count=terms.interval_count,
        unlimited=terms.unlimited,
        total_minor=catalogue.quote_of(terms).total,
        tax_added=bool(terms.tax_rate and not terms.tax_rate.inclusive),
        terms_version=terms.version,
        etag=option.etag,
        create_time=to_timestamp(option.create_time),
        update_time=to_timestamp(option.update_time),
        archive_time=to_timestamp(option.archive_time),
    )


def encode_interval(terms: Terms) -> "catalogue_pb2.PricingOption.Interval.ValueType":
    return catalogue_pb2.PricingOption.Interval.Value(terms.interval or "INTERVAL_UNSPECIFIED")


def encode_tax_rate(rate: TaxRate) -> catalogue_pb2.TaxRate:
    return catalogue_pb2.TaxRate(
        name=name_of(rate.tenant_id, "taxRates", rate.id),
        display_name=rate.display_name,
        rate_ppm=rate.rate_ppm,
        inclusive=rate.inclusive,
        create_time=to_timestamp(rate.create_time),
    )


def encode_promo_code(row: PromoCode) -> catalogue_pb2.PromoCode:
    return catalogue_pb2.PromoCode(
        name=name_of(row.tenant_id, "promoCodes", row.id),
        code=row.code,
        off_ppm=row.off_ppm,
        off_minor=row.off_minor,
        max_redemptions=row.max_redemptions,
        max_per_client=row.max_per_client,
        expire_time=to_timestamp(row.expire_time),
        pricing_options=[name_of(row.tenant_id, "pricingOptions", each) for each in row.pricing_option_ids],
        redemptions=row.redemptions,
        etag=row.etag,
        create_time=to_timestamp(row.create_time),
        update_time=to_timestamp(row.update_time),
        archive_time=to_timestamp(row.archive_time),
    )


def encode_offer(offer: Offer) -> purchase_service_pb2.Quote:
    return purchase_service_pb2.Quote(
        price_minor=offer.quote.price,
        discount_minor=offer.quote.discount,
        net_minor=offer.quote.net,
        tax_minor=offer.quote.tax,
        total_minor=offer.quote.total,
        currency_code=offer.terms.currency_code,
        display_name=offer.terms.display_name,
        credits=offer.terms.credits,
        gift_minor=offer.gift_minor,
        gift_kept_minor=offer.gift_kept_minor,
        renewal_minor=offer.renewal_minor,
    )


def encode_session(
    settings: ServiceSettings, client_secret: str, external_account: str
) -> purchase_service_pb2.PaymentSession:
    assert isinstance(settings, PaymentsSettings)
    return purchase_service_pb2.PaymentSession(
        client_secret=client_secret,
        publishable_key=settings.stripe_publishable_key,
        external_account=external_account,
    )


def _gift_card_of(purchase: Purchase) -> UUID | None:
    is_one = purchase.kind == kinds.GIFT_CARD and purchase.state == "FULFILLED"
    return gift_cards.card_id(purchase) if is_one else None


def encode_purchase(
    purchase: Purchase, terms: Terms, credits: int, payment: Payment | None, attempts: Sequence[PaymentAttempt]
) -> purchase_service_pb2.Purchase:
    pb = purchase_service_pb2.Purchase
    return pb(
        name=name_of(purchase.tenant_id, "purchases", purchase.id),
        client=name_of(purchase.tenant_id, "clients", purchase.client_id),
        pricing_option=name_of(purchase.tenant_id, "pricingOptions", purchase.pricing_option_id),
        kind=catalogue_pb2.PricingOption.Kind.Value(purchase.kind),
        quote=purchase_service_pb2.Quote(
            price_minor=purchase.price_minor,
            discount_minor=purchase.discount_minor,
            net_minor=purchase.net_minor,
            tax_minor=purchase.tax_minor,
            total_minor=purchase.total_minor,
            currency_code=purchase.currency_code,
            display_name=terms.display_name,
            credits=0 if terms.unlimited else credits,
            gift_minor=purchase.gift_minor,
        ),
        state=pb.State.Value(purchase.state),
        refunded_minor=payment.refunded_minor if payment else 0,
        gift_card=name_of(purchase.tenant_id, "giftCards", _gift_card_of(purchase)),
        client_package=name_of(purchase.tenant_id, "clientPackages", purchase.client_package_id),
        booking=name_of(purchase.tenant_id, "bookings", purchase.booking_id),
        fee=name_of(purchase.tenant_id, "fees", purchase.fee_id),
        return_reason=purchase.return_reason,
        attempts=[
            pb.Attempt(
                create_time=to_timestamp(each.create_time),
                succeeded=each.succeeded,
                message="" if each.succeeded else _MESSAGES.get(each.code, DECLINED),
                code=each.code,
                decline_code=each.decline_code,
            )
            for each in attempts
        ],
        processing=bool(payment and payment.processing and payment.state == "OPEN"),
        too_small=purchases.too_small(purchase),
        etag=purchase.etag,
        create_time=to_timestamp(purchase.create_time),
        update_time=to_timestamp(purchase.update_time),
    )
