"""A membership whose renewal is declined, as its client meets it, in a real browser and in a mail.

The studio is the test's own: what is hurried at the sandbox is its account's alone.
"""

from uuid import uuid4

import httpx
from playwright.async_api import Page, expect

from tests.e2e.buyers import PASSWORD, pay_with, signed_in
from tests.e2e.test_first_payment import confirm, opened
from tests.support.browser import PHONE, OpenPage, overflows, weak_texts
from tests.support.product import Product, Visitor, eventually

HOUR, DAY = 3600, 86_400


def _person(running: Product, name: str) -> tuple[Visitor, str]:
    visitor, email = Visitor(running.url), f"{uuid4().hex}@visitors.example"
    visitor.post("/v1/accounts:signUp", {"email": email, "password": PASSWORD, "displayName": name})
    return visitor, email


def _hurry(running: Product, account: str, seconds: int) -> None:
    """What the provider was to do in the account within that time, it does now."""
    sandbox = f"http://127.0.0.1:{running.facts['ports']['stripe']}"
    httpx.post(f"{sandbox}/sandbox/timers", json={"within": seconds, "account": account}).raise_for_status()


def _tries(visitor: Visitor, membership: str) -> int:
    """How often it was tried to collect what is due."""
    return len((visitor.get(f"/v1/{membership}").get("dunning") or {}).get("attempts", ()))


async def _looks_right(page: Page) -> None:
    assert not await overflows(page)
    assert await weak_texts(page) == []


async def test_past_due_until_the_client_pays_with_another_card(running: Product, open_page: OpenPage) -> None:
    owner, _ = _person(running, "Olga Own")
    wanted = {"displayName": "Late Studio", "timeZone": "Europe/Berlin", "currencyCode": "EUR"}
    studio = owner.studio = owner.post("/v1/studios", wanted)["name"]
    eventually(lambda: owner.get("/v1/accounts/me")["roleBindings"], what="the owner's role")
    account = opened(running, owner)
    terms = {"kind": "MEMBERSHIP", "displayName": "8 a month", "priceMinor": "8000", "credits": 8}
    plan = owner.post(f"/v1/{studio}/pricingOptions", {**terms, "interval": "MONTH", "intervalCount": 1})["name"]
    visitor, email = _person(running, "Nora New")
    client = visitor.post(f"/v1/{studio}/clients:join", {"displayName": "Nora New", "email": email})["name"]
    wanted = {"client": client, "pricingOption": plan, "totalMinor": "8000"}
    membership = visitor.post(f"/v1/{studio}/memberships", wanted)["name"]
    confirm(running, visitor.post(f"/v1/{membership}:pay", {}), "pm_card_visa")
    confirm(running, visitor.post(f"/v1/{client}/paymentMethods:setup", {}), "pm_card_chargeCustomerFail")
    eventually(lambda: visitor.get(f"/v1/{client}")["creditsLeft"] == 8, what="the credits are there")

    page = await signed_in(running, open_page, email, PASSWORD, studio=studio, color_scheme="dark", size=PHONE)
    mine, cards = page.locator("#memberships"), page.locator("#cards")
    await expect(mine).to_contain_text("Paid with Visa ending in 4242")
    visa, failing = (cards.get_by_role("listitem").filter(has_text=last4) for last4 in ("4242", "0341"))
    await expect(visa).to_contain_text("Pays 8 a month. To remove it, choose another card for that first.")
    await expect(visa.get_by_role("button", name="Remove")).to_have_count(0)
    await mine.get_by_role("button", name="Change the card").click()
    await page.locator("#card-choice-cards").select_option(label="Visa ending in 0341")
    await page.get_by_role("button", name="Use this card").click()
    await expect(mine).to_contain_text("Paid with Visa ending in 0341")
    await expect(visa.get_by_role("button", name="Remove")).to_be_visible()
    await expect(failing.get_by_role("button", name="Remove")).to_have_count(0)
    await _looks_right(page)

    # The next interval begins; its invoice is collected, and tried again three days later.
    for seconds in (32 * DAY, 2 * HOUR):
        _hurry(running, account, seconds)
    eventually(lambda: _tries(visitor, membership) == 1, what="the first try was declined")
    _hurry(running, account, 4 * DAY)
    eventually(lambda: _tries(visitor, membership) == 2, what="the second try was declined")
    mails = eventually(
        lambda: [mail for mail in running.mails(email) if "Not paid" in mail["subject"]], what="the mail about it"
    )
    assert "8 a month" in mails[0]["text"]
    await page.reload()
    await expect(mine).to_be_visible()
    await expect(mine).to_contain_text("Payment is due")
    await expect(mine).to_contain_text("€80.00 could not be charged. It is tried again")
    await expect(mine.get_by_text("Payment declined. Please try different card.")).to_have_count(2)
    await expect(mine).to_contain_text("Until it is paid there are no new credits. Your bookings stay.")
    await expect(page.locator("#credits")).to_contain_text("8 credits left")
    await _looks_right(page)

    await mine.get_by_role("link", name="Pay now").click()
    await pay_with(page, "Mastercard, succeeds")
    await expect(page.locator("#outcome-title")).to_be_visible()
    await _looks_right(page)
    await page.locator("#done").click()
    await expect(mine).to_be_visible()
    await expect(mine).to_contain_text("Active")
    await expect(mine).to_contain_text("Paid with Mastercard ending in 4444")
    await expect(page.locator("#credits")).to_contain_text("16 credits left")
    await mine.get_by_role("button", name="Cancel").click()
    await page.get_by_role("button", name="Cancel it").click()
    await expect(mine).to_contain_text("Nothing is charged any more.")
    # So its card can go, too.
    mastercard = cards.get_by_role("listitem").filter(has_text="4444")
    await expect(mastercard.get_by_role("button", name="Remove")).to_be_visible()


async def test_a_card_that_will_not_be_good_is_pointed_at(running: Product, open_page: OpenPage) -> None:
    page = await open_page(running.url, refusals=(401,))

    async def warning(month: int, year: int, **more: object) -> str:
        card = {"expireMonth": month, "expireYear": year}
        # The first of February in Berlin.
        membership = {"state": "ACTIVE", "card": card, "periodEndTime": "2098-01-31T23:30:00Z", **more}
        ask = "(it) => import('/card-name.js').then(({ expiryWarning }) => expiryWarning(it, 'Europe/Berlin'))"
        said: str = await page.evaluate(ask, membership)
        return said

    assert "This card expires before it is charged on" in await warning(1, 2098)
    assert await warning(2, 2098) == await warning(12, 2098) == ""
    assert await warning(1, 2098, cancelAtPeriodEnd=True) == await warning(1, 2098, state="PAUSED") == ""
    # Whatever is due, it does not pay.
    for state in ("ACTIVE", "PAST_DUE", "PAUSED"):
        assert await warning(12, 2020, state=state) == "This card has expired. Choose another, or replace it."
    # Staff are not told.
    assert await warning(0, 0) == ""
