"""What a demo studio sells, its account at the Stripe sandbox, and who has joined a membership there."""

import asyncio

import httpx

from embedded.demo.data import Studio
from embedded.demo.people import Mesh, Person, eventually
from powerhouse.booking.v1 import booking_pb2, booking_service_pb2
from powerhouse.payments.v1 import catalogue_pb2, catalogue_service_pb2, membership_pb2, membership_service_pb2
from powerhouse.payments.v1 import merchant_service_pb2 as merchant_pb2
from powerhouse.payments.v1 import receipt_service_pb2 as receipt_pb2


async def open_shop(mesh: Mesh, owner: Person, studio: str, plan: Studio, stripe: str) -> None:
    """Opens the studio's account, onboards it at the sandbox (its address is `stripe`), and fills the shelves."""
    await owner.call(
        mesh.merchants.OpenMerchantAccount,
        merchant_pb2.OpenMerchantAccountRequest(
            parent=studio, currency_code=plan.currency_code, country_code=plan.country_code
        ),
    )
    await asyncio.gather(
        _onboard(mesh, owner, studio, stripe),
        _fill(mesh, owner, studio, plan),
        _offer_places(mesh, owner, studio, plan),
    )


async def become_member(mesh: Mesh, owner: Person, member: Person, studio: str, client: str, stripe: str) -> None:
    """Joins the first plan of a shop whose prices contain the tax, and pays as the provider's form does."""
    options = catalogue_service_pb2.ListPricingOptionsRequest(parent=studio, page_size=200)
    plan = next(
        option
        for option in (await owner.call(mesh.catalogue.ListPricingOptions, options)).pricing_options
        if option.kind == catalogue_pb2.PricingOption.MEMBERSHIP and not option.unlimited
    )
    joining = membership_service_pb2.CreateMembershipRequest(
        parent=studio, client=client, pricing_option=plan.name, total_minor=plan.price_minor
    )
    joined = await member.call(mesh.memberships.CreateMembership, joining)
    if joined.state != membership_pb2.Membership.PENDING:
        return
    paying = membership_service_pb2.StartMembershipPaymentRequest(name=joined.name)
    session = await member.call(mesh.memberships.StartMembershipPayment, paying)
    form = {
        "key": session.publishable_key,
        "_stripe_account": session.external_account,
        "client_secret": session.client_secret,
        "payment_method": "pm_card_visa",
    }
    async with httpx.AsyncClient(base_url=stripe) as sandbox:
        (await sandbox.post(f"/elements/{session.client_secret}/confirm", data=form)).raise_for_status()


async def _onboard(mesh: Mesh, owner: Person, studio: str, stripe: str) -> None:
    """As the owner does by the page that the link leads to; the account is open when the provider says so."""
    link = await owner.call(
        mesh.merchants.CreateOnboardingLink, merchant_pb2.CreateOnboardingLinkRequest(name=f"{studio}/merchantAccount")
    )
    async with httpx.AsyncClient(base_url=stripe) as sandbox:
        page = link.url[link.url.index("/onboarding/") :]
        (await sandbox.post(f"{page}/state", json={})).raise_for_status()

    async def active() -> bool | None:
        request = merchant_pb2.GetMerchantAccountRequest(name=f"{studio}/merchantAccount")
        account = await owner.call(mesh.merchants.GetMerchantAccount, request)
        return account.state == merchant_pb2.MerchantAccount.ACTIVE or None

    await eventually(active, f"the merchant account of {studio}")


async def _fill(mesh: Mesh, owner: Person, studio: str, plan: Studio) -> None:
    pb = catalogue_service_pb2
    name, rate_ppm, inclusive = plan.tax
    rate = catalogue_pb2.TaxRate(display_name=name, rate_ppm=rate_ppm, inclusive=inclusive)
    tax = await owner.call(mesh.catalogue.CreateTaxRate, pb.CreateTaxRateRequest(parent=studio, tax_rate=rate))
    # One after the other: the list shows the newest first, so the smallest is sold on top.
    for option in reversed(_options(plan, tax.name)):
        await owner.call(
            mesh.catalogue.CreatePricingOption,
            pb.CreatePricingOptionRequest(parent=studio, pricing_option=option),
        )
    letterhead = receipt_pb2.Letterhead(
        name=f"{studio}/letterhead",
        address=plan.address.replace(", ", "\n", 1),
        tax_number=plan.tax_number,
        footer=f"{plan.display_name} is a demo: nothing was paid.",
    )
    await owner.call(mesh.receipts.UpdateLetterhead, receipt_pb2.UpdateLetterheadRequest(letterhead=letterhead))
    code = catalogue_pb2.PromoCode(code=plan.promo_code, off_ppm=plan.promo_ppm)
    await owner.call(mesh.catalogue.CreatePromoCode, pb.CreatePromoCodeRequest(parent=studio, promo_code=code))


def _options(plan: Studio, tax: str) -> list[catalogue_pb2.PricingOption]:
    kinds = catalogue_pb2.PricingOption
    memberships = [
        kinds(
            kind=kinds.MEMBERSHIP,
            display_name=each.display_name,
            price_minor=each.price_minor,
            credits=each.credits,
            unlimited=not each.credits,
            interval=kinds.MONTH,
            interval_count=1,
            tax_rate=tax,
        )
        for each in plan.memberships
    ]
    offers = [
        kinds(
            kind=kinds.CLASS_PACK if offer.credits else kinds.GIFT_CARD,
            display_name=offer.display_name,
            price_minor=offer.price_minor,
            credits=offer.credits,
            valid_days=offer.valid_days,
            starts_on_first_use=bool(offer.credits),
            intro_offer=offer.intro_offer,
            tax_rate=tax if offer.credits else "",
        )
        for offer in plan.offers
    ]
    # Costs what booking says.
    drop_in = kinds(kind=kinds.DROP_IN, display_name="Single class", tax_rate=tax)
    return [*memberships, *offers, drop_in]


async def _offer_places(mesh: Mesh, owner: Person, studio: str, plan: Studio) -> None:
    """Booking holds a place that is paid for alone, for this price."""
    policy = booking_pb2.BookingPolicy(name=f"{studio}/bookingPolicy", drop_in_price_minor=plan.drop_in_minor)
    change = booking_service_pb2.UpdateBookingPolicyRequest(booking_policy=policy)
    change.update_mask.paths.append("drop_in_price_minor")
    await owner.call(mesh.booking.UpdateBookingPolicy, change)
