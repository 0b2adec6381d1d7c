"""What is for sale: terms, taxes, codes, and the merchant's account."""

from datetime import timedelta

import grpc
import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from grpc import StatusCode

from powerhouse.payments.v1 import catalogue_pb2
from powerhouse.payments.v1 import catalogue_service_pb2 as pb
from powerhouse.payments.v1 import merchant_service_pb2 as merchant
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.chassis.rpc.codec import to_timestamp
from services.payments import wallets
from services.payments.providers.stripe_calls import options_of, stripe_client
from tests.integration.booking.house import key, refused
from tests.integration.payments.house import API_KEY, Shop

MerchantAccount = merchant.MerchantAccount


async def test_an_account_is_opened_onboarded_and_restricted(stranger: Shop) -> None:
    await stranger.open(active=False)
    account = merchant.GetMerchantAccountRequest(name=f"{stranger.name}/merchantAccount")
    shown = await stranger.staff.GetMerchantAccount(account)
    assert (shown.state, shown.currency_code) == (MerchantAccount.ONBOARDING, "EUR")
    assert shown.requirements
    link = await stranger.staff.CreateOnboardingLink(
        merchant.CreateOnboardingLinkRequest(name=f"{stranger.name}/merchantAccount")
    )
    assert link.url.startswith("http")
    for enabled, state in ((True, MerchantAccount.ACTIVE), (False, MerchantAccount.RESTRICTED)):
        states = dict.fromkeys(("charges_enabled", "payouts_enabled", "details_submitted"), enabled)
        await stranger.control("POST", f"accounts/{stranger.account}", states)
        await stranger.tell_all()
        assert (await stranger.staff.GetMerchantAccount(account)).state == state
    again = merchant.OpenMerchantAccountRequest(parent=stranger.name, currency_code="EUR", country_code="DE")
    assert (await stranger.staff.OpenMerchantAccount(again)).external_account == stranger.account
    other = merchant.OpenMerchantAccountRequest(parent=stranger.name, currency_code="USD", country_code="US")
    await refused(stranger.staff.OpenMerchantAccount(other), StatusCode.FAILED_PRECONDITION, "CURRENCY_MISMATCH")


async def test_wallets_appear_on_our_domain_as_long_as_the_provider_says_so(stranger: Shop) -> None:
    account = merchant.GetMerchantAccountRequest(name=f"{stranger.name}/merchantAccount")
    work, offered = stranger.payments.resources, ["apple_pay", "google_pay"]
    await stranger.open(active=False)
    assert not (await stranger.staff.GetMerchantAccount(account)).wallets
    states = dict.fromkeys(("charges_enabled", "payouts_enabled", "details_submitted"), True)
    await stranger.control("POST", f"accounts/{stranger.account}", states)
    await stranger.tell_all()
    assert (await stranger.staff.GetMerchantAccount(account)).wallets == offered
    domains = stripe_client(API_KEY, stranger.sandbox).v1.payment_method_domains
    inside = options_of(stranger.account)
    [domain] = (await domains.list_async({}, inside)).data
    for enabled, shown in ((False, []), (True, offered)):
        await domains.update_async(domain.id, {"enabled": enabled}, inside)
        await wallets.offer(work, stranger.tenant)
        assert (await stranger.staff.GetMerchantAccount(account)).wallets == shown
    assert len((await domains.list_async({}, inside)).data) == 1
    # What the provider refuses takes the wallets away, and nothing else.
    await stranger.control("POST", f"accounts/{stranger.account}/deauthorize", {})
    await wallets.offer(work, stranger.tenant)
    assert not (await stranger.staff.GetMerchantAccount(account)).wallets


async def test_a_currency_without_minor_units(stranger: Shop) -> None:
    await stranger.open("JPY", "JP")
    client = await stranger.add_client()
    purchase = await stranger.buy(client, await stranger.sell(12_000), 12_000)
    await stranger.pay(purchase)
    await stranger.tell_all()
    compared = await stranger.reconcile()
    assert (compared.currency_code, compared.difference_minor) == ("JPY", 0)
    intent = next(e for e in await stranger.told() if e["type"] == "payment_intent.succeeded")["data"]["object"]
    assert (intent["amount"], intent["currency"]) == (12_000, "jpy")


async def test_a_currency_that_the_provider_writes_otherwise_is_refused(stranger: Shop) -> None:
    wanted = merchant.OpenMerchantAccountRequest(parent=stranger.name, currency_code="KWD", country_code="KW")
    await refused(stranger.staff.OpenMerchantAccount(wanted), StatusCode.INVALID_ARGUMENT, "UNKNOWN_CURRENCY")


async def test_options_are_changed_archived_and_brought_back(shop: Shop) -> None:
    name, client = await shop.sell(), await shop.add_client()
    archived = await shop.staff.DeletePricingOption(pb.DeletePricingOptionRequest(name=name, request_id=key()))
    assert archived.HasField("archive_time")
    await refused(shop.quote(client, name), StatusCode.FAILED_PRECONDITION, "ARCHIVED")
    listed = await shop.staff.ListPricingOptions(pb.ListPricingOptionsRequest(parent=shop.name))
    assert list(listed.pricing_options) == []
    changed = pb.UpdatePricingOptionRequest(
        pricing_option=catalogue_pb2.PricingOption(name=name, price_minor=1), request_id=key()
    )
    await refused(shop.staff.UpdatePricingOption(changed), StatusCode.FAILED_PRECONDITION, "ARCHIVED")
    await shop.staff.UndeletePricingOption(pb.UndeletePricingOptionRequest(name=name, request_id=key()))
    stale = catalogue_pb2.PricingOption(name=name, price_minor=1, etag="1")
    await refused(
        shop.staff.UpdatePricingOption(pb.UpdatePricingOptionRequest(pricing_option=stale, request_id=key())),
        StatusCode.ABORTED,
        "ETAG_MISMATCH",
    )
    await refused(shop.sell(starts_on_first_use=True), StatusCode.INVALID_ARGUMENT, "VALIDITY_AMBIGUOUS")
    foreign = f"{shop.name}/classTypes/{new_id()}"
    await refused(shop.sell(class_types=[foreign]), StatusCode.NOT_FOUND, "NOT_FOUND")


@pytest.mark.parametrize(
    ("kind", "terms", "reason"),
    [
        ("CLASS_PACK", {"credits": 0}, "TERM_MISSING"),
        ("FEE", {"credits": 1}, "TERM_NOT_OF_KIND"),
        ("FEE", {"intro_offer": True}, "TERM_NOT_OF_KIND"),
    ],
)
async def test_each_kind_has_its_own_terms(shop: Shop, kind: str, terms: dict[str, object], reason: str) -> None:
    await refused(shop.sell(**{"credits": 0, **terms}, kind=kind), StatusCode.INVALID_ARGUMENT, reason)


async def test_what_is_not_to_be_changed_is_not_looked_at(shop: Shop) -> None:
    nonsense = catalogue_pb2.PricingOption(name=await shop.sell(), display_name="Ten", class_types=["nonsense"])
    masked = pb.UpdatePricingOptionRequest(pricing_option=nonsense, update_mask=FieldMask(paths=["display_name"]))
    masked.request_id = key()
    changed = await shop.staff.UpdatePricingOption(masked)
    assert (changed.display_name, list(changed.class_types)) == ("Ten", [])
    both = pb.UpdatePricingOptionRequest(
        pricing_option=nonsense, update_mask=FieldMask(paths=["class_types"]), request_id=key()
    )
    await refused(shop.staff.UpdatePricingOption(both), StatusCode.INVALID_ARGUMENT, "MALFORMED_NAME")


async def test_the_kind_is_fixed(shop: Shop) -> None:
    option = catalogue_pb2.PricingOption(name=await shop.sell(), kind=catalogue_pb2.PricingOption.FEE)
    changed = pb.UpdatePricingOptionRequest(pricing_option=option, update_mask={"paths": ["kind"]}, request_id=key())
    await refused(shop.staff.UpdatePricingOption(changed), StatusCode.INVALID_ARGUMENT, "FIELD_NOT_MUTABLE")
    more = catalogue_pb2.PricingOption(name=await shop.sell(credits=0, kind="FEE"), credits=1)
    changed = pb.UpdatePricingOptionRequest(pricing_option=more, request_id=key())
    await refused(shop.staff.UpdatePricingOption(changed), StatusCode.INVALID_ARGUMENT, "TERM_NOT_OF_KIND")


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"off_minor": 100, "max_redemptions": 1, "max_per_client": 1}, ""),
        ({"off_minor": 100, "expired": True}, "PROMO_CODE_EXPIRED"),
        ({"off_minor": 100, "elsewhere": True}, "PROMO_CODE_NOT_FOR_THIS"),
        ({}, "PROMO_CODE_UNKNOWN"),
    ],
    ids=["good", "expired", "for something else", "unknown"],
)
async def test_codes(shop: Shop, terms: dict[str, object], reason: str) -> None:
    client, option, other = await shop.add_client(), await shop.sell(), await shop.sell()
    if terms:
        if terms.pop("expired", False):
            terms["expire_time"] = to_timestamp(shop.payments.mesh.clock.now() - timedelta(seconds=1))
        if terms.pop("elsewhere", False):
            terms["pricing_options"] = [other]
        await shop.promo("Spring-26", **terms)
    if reason:
        await refused(shop.quote(client, option, "spring-26"), StatusCode.FAILED_PRECONDITION, reason)
        return
    assert (await shop.quote(client, option, " spring-26 ")).total_minor == 9_900
    await shop.buy(client, option, 9_900, "SPRING-26")
    await refused(shop.quote(client, option, "spring-26"), StatusCode.FAILED_PRECONDITION, "PROMO_CODE_USED_UP")
    await refused(shop.promo("SPRING-26", off_ppm=1), StatusCode.ALREADY_EXISTS, "CODE_TAKEN")
    await refused(shop.promo("X-1", off_ppm=1, off_minor=1), StatusCode.INVALID_ARGUMENT, "DISCOUNT_AMBIGUOUS")


async def test_who_may_change_the_catalogue(shop: Shop) -> None:
    desk = shop.as_role(Role.ROLE_FRONT_DESK)
    option = catalogue_pb2.PricingOption(display_name="x", price_minor=1, credits=1)
    wanted = pb.CreatePricingOptionRequest(parent=shop.name, pricing_option=option, request_id=key())
    await refused(desk.CreatePricingOption(wanted), StatusCode.PERMISSION_DENIED, "ROLE_REQUIRED")


async def test_a_name_says_something(shop: Shop) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await shop.sell(display_name=" ")
    assert refusal.value.details() == "pricing_option.display_name: must not be blank"
