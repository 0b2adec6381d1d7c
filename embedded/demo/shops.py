"""What a demo studio sells, and its account at the Stripe sandbox, in the name of its owner."""

import asyncio

import httpx

from embedded.demo.data import Studio
from embedded.demo.people import Mesh, Person, eventually
from powerhouse.payments.v1 import catalogue_pb2, catalogue_service_pb2
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
    await asyncio.gather(_onboard(mesh, owner, studio, stripe), _fill(mesh, owner, studio, plan))


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
    for offer in reversed(plan.offers):
        option = catalogue_pb2.PricingOption(
            display_name=offer.display_name,
            price_minor=offer.price_minor,
            credits=offer.credits,
            valid_days=offer.valid_days,
            starts_on_first_use=True,
            intro_offer=offer.intro_offer,
            tax_rate=tax.name,
        )
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
