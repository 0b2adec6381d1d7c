"""What a client joins, keeps a card for, owes and pays by the class, in a real browser."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.e2e.buyers import DECLINED, PASSWORD, at_the_studio, card_form, joined, pay_with, signed_in
from tests.e2e.test_first_payment import confirm
from tests.support.browser import PHONE, OpenPage, overflows, weak_texts
from tests.support.product import Product, Visitor, eventually


async def _looks_right(page: Page) -> None:
    assert not await overflows(page)
    assert await weak_texts(page) == []


async def _back(page: Page) -> None:
    await page.locator("#done").click()
    await expect(page.locator("#studio-name")).to_be_visible()


async def test_a_membership_is_joined_cancelled_kept_and_changed(running: Product, open_page: OpenPage) -> None:
    page, _ = await at_the_studio(running, open_page)
    await page.get_by_role("link", name="Join 10 a month").click()
    await expect(page.locator("#renewal")).to_contain_text("€139.00 every month")
    await expect(page.get_by_label("Gift card")).to_be_hidden()
    await _looks_right(page)
    await page.get_by_role("button", name="Continue to payment").click()
    await pay_with(page, "Declined: insufficient funds")
    await expect(page.get_by_role("alert")).to_contain_text(DECLINED)
    # Loaded again it is the same membership; another window hears of it, too.
    await page.reload()
    await expect(page.get_by_role("heading", name="Pay €139.00 for 10 a month")).to_be_visible()
    other = await page.context.new_page()
    await other.goto(page.url)
    await expect(other.locator("#pay")).to_be_visible()
    await page.bring_to_front()
    await pay_with(page, "Visa, succeeds")
    await expect(page.locator("#outcome-title")).to_have_text("You are a member. Thank you.")
    await expect(page.locator("#outcome-text")).to_contain_text("10 credits are yours. It renews on")
    await expect(page.get_by_role("link", name="Receipt 0")).to_be_visible()
    await other.bring_to_front()
    await expect(other.locator("#outcome-title")).to_have_text("You are a member. Thank you.")
    await other.close()
    await _back(page)

    mine = page.locator("#memberships")
    await expect(mine).to_contain_text("Active")
    await expect(mine).to_contain_text("10 of 10 credits left until")
    await expect(mine).to_contain_text("Next charge: €139.00 on")
    await _looks_right(page)
    # As easily as it was joined: two clicks.
    await mine.get_by_role("button", name="Cancel").click()
    await expect(page.locator("#confirm-text")).to_contain_text("stays usable until")
    await page.get_by_role("button", name="Cancel it").click()
    await expect(mine).to_contain_text("Nothing is charged any more.")
    await mine.get_by_role("button", name="Keep it").click()
    await expect(mine).to_contain_text("Next charge")

    await mine.get_by_role("button", name="Pause").click()
    await page.get_by_role("button", name="Pause it").click()
    await expect(mine).to_contain_text("It goes on when you resume it.")
    # The card is a new one; the keyboard is still in it.
    await expect(mine.get_by_role("button", name="Resume")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(mine).to_contain_text("Active")
    await mine.get_by_role("button", name="Change the plan").click()
    await expect(page.locator("#plan-change-text")).to_contain_text("You pay €50.00")
    await _looks_right(page)
    await page.get_by_role("button", name="Change and pay €50.00").click()
    await expect(mine).to_contain_text("As often as you like until")
    await expect(page.locator("#credits")).to_contain_text("Book as often as you like")


async def test_a_fee_is_paid_and_cards_are_kept_on_a_phone(running: Product, open_page: OpenPage) -> None:
    page, email = await at_the_studio(running, open_page, color_scheme="dark", size=PHONE)
    owner, visitor = running.sign_in("owner"), Visitor(running.url)
    visitor.post("/v1/accounts:signIn", {"email": email, "password": PASSWORD})
    [client] = visitor.get(f"/v1/{owner.studio}/clients")["clients"]
    fee = owner.post(
        f"/v1/{owner.studio}/pricingOptions", {"kind": "FEE", "displayName": "Lost towel", "priceMinor": "1500"}
    )
    sold = {"client": client["name"], "pricingOption": fee["name"], "totalMinor": "1500"}
    owner.post(f"/v1/{owner.studio}/purchases", sold)
    await page.reload()
    await expect(page.locator("#owed")).to_contain_text("Lost towel")
    await expect(page.locator("#shop")).not_to_contain_text("Lost towel")
    await _looks_right(page)
    await page.get_by_role("link", name="Pay €15.00 for Lost towel").click()
    await expect(page.locator("#pay")).to_be_visible()
    await expect(page.get_by_role("button", name="Give up")).to_be_hidden()
    await pay_with(page, "Visa, succeeds")
    await expect(page.locator("#outcome-title")).to_have_text("Done. Thank you.")
    await _back(page)
    await expect(page.locator("#owed")).to_be_hidden()

    cards = page.locator("#cards")
    for card in ("Mastercard, succeeds", "3-D Secure on every payment"):
        await cards.get_by_role("link", name="Add a card").click()
        await card_form(page).get_by_role("radio", name=card).check()
        await page.get_by_role("button", name="Save the card").click()
        if card.startswith("3-D"):
            await page.get_by_role("button", name="Yes, approve it").click()
        await expect(page.locator("#outcome-title")).to_have_text("Your card is saved.")
        await _back(page)
    # The first is charged until another is told to be.
    await expect(cards.get_by_role("listitem").filter(has_text="4444")).to_contain_text("Default")
    await cards.get_by_role("button", name="Make default: Visa ending in 3184").click()
    await expect(cards.get_by_role("listitem").filter(has_text="3184")).to_contain_text("Default")
    await _looks_right(page)
    await cards.get_by_role("button", name="Remove: Mastercard ending in 4444").click()
    await page.get_by_role("button", name="Remove it").click()
    await expect(cards.get_by_role("listitem")).to_have_count(1)


async def test_who_has_no_credit_pays_for_the_class_alone(running: Product, open_page: OpenPage) -> None:
    page, _ = await at_the_studio(running, open_page)
    await page.get_by_role("button", name="Book Mat Foundations").last.click()
    offer = page.locator("#no-credit")
    await expect(offer.get_by_role("link", name="Buy 5 classes")).to_be_visible()
    await _looks_right(page)
    await offer.get_by_role("button", name="Pay for this class · €22.00").click()
    await expect(page.locator("#lines")).to_contain_text("€22.00")
    # Whoever goes back finds the place held.
    await page.go_back()
    await expect(page.locator("#bookings")).to_contain_text("Not paid yet: held for you until")
    await page.get_by_role("link", name="Pay for Mat Foundations").click()
    await page.get_by_role("button", name="Continue to payment").click()
    await expect(page.locator("#notes")).to_contain_text(re.compile("held until .* After that others can have it"))
    await pay_with(page, "Visa, succeeds")
    await expect(page.locator("#outcome-text")).to_contain_text("You are booked: Mat Foundations")
    await _looks_right(page)
    await _back(page)
    await expect(page.locator("#bookings")).to_contain_text("Free to cancel until")


def _sold(running: Product, card: str) -> tuple[Visitor, str]:
    """A pack that somebody has paid; its name."""
    visitor, owner = Visitor(running.url), running.sign_in("owner")
    visitor.post("/v1/accounts:signIn", {"email": joined(running), "password": PASSWORD})
    [client] = visitor.get(f"/v1/{owner.studio}/clients")["clients"]
    options = visitor.get(f"/v1/{owner.studio}/pricingOptions", pageSize="200")["pricingOptions"]
    pack = next(option["name"] for option in options if option["displayName"] == "5 classes")
    wanted = {"client": client["name"], "pricingOption": pack, "totalMinor": "9000"}
    purchase = visitor.post(f"/v1/{owner.studio}/purchases", wanted)["name"]
    confirm(running, visitor.post(f"/v1/{purchase}:pay", {}), card)
    eventually(lambda: visitor.get(f"/v1/{purchase}")["state"] == "FULFILLED", what="the pack is there")
    return visitor, purchase


async def test_a_manager_finds_a_sale_and_gives_a_part_of_it_back(running: Product, open_page: OpenPage) -> None:
    visitor, purchase = _sold(running, "pm_card_visa")
    page = await signed_in(running, open_page, running.demo["logins"][1]["email"], running.demo["password"], size=PHONE)
    await page.get_by_role("combobox", name="What").select_option(label="Class packs")
    sale = page.locator(f"[id='{purchase}']")
    await sale.get_by_role("button", name="Details").click()
    await expect(page.get_by_role("link", name="Receipt 0")).to_be_visible()
    await expect(page.locator("#sale-preview")).to_contain_text("Of 5 credits that are left 5 would be taken away.")
    await page.get_by_label("Amount").fill("36")
    await page.locator("#sale").get_by_label("Reason").fill("moved away")
    await page.locator("#sale-go").click()
    await expect(page.locator("#sale-preview")).to_contain_text("Of 5 credits that are left 2 would be taken away.")
    await _looks_right(page)
    await page.get_by_role("button", name="Refund €36.00").click()
    await expect(page.locator("#notice-text")).to_contain_text("€36.00 is on its way back to Nora New.")
    eventually(lambda: visitor.get(f"/v1/{purchase}")["refundedMinor"] == "3600", what="the money is back")


@pytest.mark.parametrize(
    ("card", "told"),
    [
        ("pm_card_createDispute", "€90.00 could not be given back: the client's bank disputes the payment."),
        ("pm_card_pendingRefund", "€90.00 is on its way back to Nora New."),
    ],
)
async def test_what_became_of_a_refund_is_told(running: Product, open_page: OpenPage, card: str, told: str) -> None:
    _, purchase = _sold(running, card)
    page = await signed_in(running, open_page, running.demo["logins"][1]["email"], running.demo["password"])
    details = page.locator(f"[id='{purchase}']").get_by_role("button", name="Details")
    await details.click()
    await page.get_by_role("button", name="Refund €90.00").click()
    await expect(page.get_by_text("Please say why.")).to_be_visible()
    await page.locator("#sale").get_by_label("Reason").fill("moved away")
    await page.get_by_role("button", name="Refund €90.00").click()
    await expect(page.locator("#notice-text")).to_have_text(told)
    await details.click()
    await expect(page.locator("#sale-receipts")).to_contain_text(told)


async def test_a_manager_ends_a_membership_and_gives_back_what_is_unused(running: Product, open_page: OpenPage) -> None:
    visitor, owner = Visitor(running.url), running.sign_in("owner")
    visitor.post("/v1/accounts:signIn", {"email": joined(running), "password": PASSWORD})
    [client] = visitor.get(f"/v1/{owner.studio}/clients")["clients"]
    options = visitor.get(f"/v1/{owner.studio}/pricingOptions", pageSize="200")["pricingOptions"]
    plan = next(option["name"] for option in options if option["displayName"] == "10 a month")
    wanted = {"client": client["name"], "pricingOption": plan, "totalMinor": "13900"}
    membership = visitor.post(f"/v1/{owner.studio}/memberships", wanted)["name"]
    confirm(running, visitor.post(f"/v1/{membership}:pay", {}), "pm_card_visa")
    eventually(lambda: visitor.get(f"/v1/{client['name']}")["creditsLeft"] == 10, what="the credits are there")
    sessions = visitor.get(f"/v1/{owner.studio}/bookableSessions", pageSize="200")["bookableSessions"]
    session = next(each for each in reversed(sessions) if each["availability"] == "OPEN")
    visitor.post(f"/v1/{owner.studio}/bookings", {"classSession": session["classSession"]})

    page = await signed_in(running, open_page, running.demo["logins"][1]["email"], running.demo["password"])
    await page.locator(f"[id='{session['classSession']}']").get_by_role("button", name="Roster").click()
    await page.get_by_role("button", name="Purchases: Nora New").last.click()
    await expect(page.locator("#client-sales-memberships")).to_contain_text("Paid with Visa ending in 4242")
    await page.get_by_role("button", name="End and refund: 10 a month").click()
    dialog = page.get_by_role("dialog", name="End this membership")
    await expect(dialog).to_contain_text("€125.10 goes back, and 9 credits that are left are taken away.")
    await _looks_right(page)
    await dialog.get_by_role("button", name="End it and refund €125.10").click()
    await expect(dialog.get_by_text("Please say why.")).to_be_visible()
    await dialog.get_by_label("Reason").fill("moved away")
    await dialog.get_by_role("button", name="End it and refund €125.10").click()
    await expect(page.locator("#client-sales-memberships")).to_contain_text("Ended")
    eventually(lambda: visitor.get(f"/v1/{client['name']}")["creditsLeft"] == 0, what="the credits are gone")
