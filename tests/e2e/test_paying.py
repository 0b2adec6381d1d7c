"""Buying in a real browser: what it costs, the provider's form, a declined card, the bank's question, the credits."""

import io
import re
from uuid import uuid4

import pytest
from playwright.async_api import Page, expect
from pypdf import PdfReader

from tests.e2e.buyers import DECLINED, PASSWORD, at_the_studio, card_form, pay_with, sign_in
from tests.support.browser import DESKTOP, PHONE, ColorScheme, OpenPage, overflows, weak_texts
from tests.support.product import Product, eventually


async def _ordering(page: Page, option: str) -> None:
    await page.get_by_role("link", name=f"Buy {option}", exact=True).click()
    await expect(page.get_by_role("heading", name=option)).to_be_visible()


@pytest.mark.parametrize(("color_scheme", "size"), [("light", DESKTOP), ("dark", PHONE)])
async def test_a_declined_card_then_another_and_the_credits_are_there(
    running: Product, open_page: OpenPage, color_scheme: ColorScheme, size: tuple[int, int]
) -> None:
    page, email = await at_the_studio(running, open_page, color_scheme=color_scheme, size=size)
    assert not await overflows(page)
    assert await weak_texts(page) == []
    await _ordering(page, "5 classes")
    lines = page.locator("#lines")
    await expect(lines).to_contain_text("€90.00")
    await page.get_by_label("Promo code").fill("nothing")
    await page.get_by_role("button", name="Use the codes").click()
    await expect(page.get_by_text("There is no such code.")).to_be_visible()
    await page.get_by_label("Promo code").fill("kiez10")
    await page.get_by_role("button", name="Use the codes").click()
    await expect(lines).to_contain_text("€81.00")
    await expect(page.get_by_text("There is no such code.")).to_be_hidden()
    assert not await overflows(page)
    assert await weak_texts(page) == []

    await page.get_by_role("button", name="Continue to payment").click()
    await pay_with(page, "Declined: insufficient funds")
    await expect(page.get_by_role("alert")).to_contain_text(DECLINED)
    assert not await overflows(page)
    assert await weak_texts(page) == []
    await pay_with(page, "Visa, succeeds")
    await expect(page.locator("#outcome-text")).to_have_text("5 classes: you have 5 credits.")
    assert not await overflows(page)
    assert await weak_texts(page) == []
    receipt = page.get_by_role("link", name="Receipt 0")
    await expect(receipt).to_be_visible()
    async with page.expect_download() as download:
        await receipt.click()
    [text] = [sheet.extract_text() for sheet in PdfReader(await (await download.value).path()).pages]
    assert "Nora New" in text
    assert "Kiez Pilates Berlin" in text
    await page.get_by_role("link", name="Book a class").click()
    await expect(page.locator("#credits")).to_contain_text("5 credits left")
    await expect(page.locator("#purchases")).to_contain_text("€81.00 · Paid")
    await expect(page.locator("#purchases").get_by_role("link")).to_be_visible()
    assert not await overflows(page)
    assert await weak_texts(page) == []
    [mail] = eventually(lambda: running.mails(email), what="the mail with the receipt")
    assert mail["subject"].startswith("Receipt 0")
    assert "5 classes" in mail["text"]
    assert page.url.split("/?")[0] in mail["text"]
    [file] = mail["attachments"]
    sent = await page.request.get(f"{running.url}{file['path']}")
    assert sent.headers["content-type"] == "application/pdf"
    assert (await sent.body()).startswith(b"%PDF")
    [sheet] = PdfReader(io.BytesIO(await sent.body())).pages
    # As the page brought it, under its number.
    assert sheet.extract_text() == text
    assert file["file_name"] == f"receipt-{mail['subject'].split()[1].rstrip(':')}.pdf"


async def test_the_bank_asks_and_the_client_comes_back(running: Product, open_page: OpenPage) -> None:
    page, _ = await at_the_studio(running, open_page)
    await _ordering(page, "First visit: 3 classes")
    await page.get_by_role("button", name="Continue to payment").click()
    await pay_with(page, "3-D Secure")
    await page.get_by_role("button", name="No, refuse it").click()
    await expect(page.get_by_role("alert")).to_have_text(DECLINED)
    await pay_with(page, "3-D Secure")
    await page.get_by_role("button", name="Yes, approve it").click()
    await expect(page.locator("#outcome-text")).to_have_text("First visit: 3 classes: you have 3 credits.")
    # What only the provider's form may know stays nowhere.
    assert "secret" not in page.url
    # Loaded again it says the same; nobody pays twice by going back.
    await page.reload()
    await expect(page.locator("#outcome-title")).to_have_text("Done. Thank you.")


async def test_a_card_is_kept_and_pays_the_next_time_by_one_click(running: Product, open_page: OpenPage) -> None:
    page, _ = await at_the_studio(running, open_page)
    await _ordering(page, "First visit: 3 classes")
    await page.get_by_role("button", name="Continue to payment").click()
    await page.get_by_label("Keep this card for next time").check()
    await pay_with(page, "Mastercard, succeeds")
    await expect(page.locator("#outcome-text")).to_contain_text("you have 3 credits")
    await page.get_by_role("link", name="Back to the studio").click()
    await expect(page.locator("#cards")).to_contain_text("Mastercard ending in 4444")
    await _ordering(page, "5 classes")
    await page.get_by_role("button", name="Continue to payment").click()
    await expect(page.get_by_role("radio", name="Mastercard ending in 4444")).to_be_checked()
    await expect(page.locator("#element")).to_be_hidden()
    await expect(page.get_by_label("Keep this card for next time")).to_be_hidden()
    assert not await overflows(page)
    assert await weak_texts(page) == []
    await page.get_by_role("button", name="Pay €90.00").click()
    await expect(page.locator("#outcome-text")).to_contain_text("you have 5 credits")


async def test_who_is_signed_out_while_paying_signs_in_and_has_it(running: Product, open_page: OpenPage) -> None:
    page, email = await at_the_studio(running, open_page)
    await _ordering(page, "5 classes")
    await page.get_by_role("button", name="Continue to payment").click()
    await expect(card_form(page).get_by_role("radio", name="Visa, succeeds").first).to_be_visible()
    await page.context.clear_cookies()
    await pay_with(page, "Visa, succeeds")
    await sign_in(page, email, PASSWORD)
    await expect(page.locator("#credits")).to_contain_text("5 credits left")


async def test_a_wallet_pays(running: Product, open_page: OpenPage) -> None:
    page, _ = await at_the_studio(running, open_page)
    await _ordering(page, "5 classes")
    await page.get_by_role("button", name="Continue to payment").click()
    await pay_with(page, "Apple Pay")
    await expect(page.locator("#outcome-text")).to_contain_text("you have 5 credits")
    async with page.expect_download() as saved:
        await page.get_by_role("link", name="Receipt").click()
    [sheet] = PdfReader(await (await saved.value).path()).pages
    assert "Apple Pay •••• 4242" in sheet.extract_text()


async def test_all_of_it_by_keyboard(running: Product, open_page: OpenPage) -> None:
    page, _ = await at_the_studio(running, open_page)
    await page.get_by_role("link", name="Buy 5 classes", exact=True).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("button", name="Continue to payment")).to_be_visible()
    await page.get_by_label("Promo code").focus()
    for _ in range(3):
        await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(card_form(page).get_by_role("radio").first).to_be_visible()
    # From the heading, where the keyboard's place is now, into the provider's fields and out of them again.
    await expect(page.locator("#paying")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Tab")
    await expect(page.get_by_label("Keep this card for next time")).to_be_focused()
    await page.keyboard.press("Tab")
    await expect(page.locator("#pay")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#outcome-title")).to_be_focused()
    await expect(page.locator("#outcome-text")).to_contain_text("you have 5 credits")


async def test_a_purchase_can_be_given_up(running: Product, open_page: OpenPage) -> None:
    page, _ = await at_the_studio(running, open_page)
    await _ordering(page, "10 classes")
    await page.get_by_role("button", name="Continue to payment").click()
    await page.get_by_role("button", name="Give up this purchase").click()
    await expect(page.locator("#outcome-title")).to_have_text("This purchase was given up.")


async def test_a_gift_card_is_bought_and_pays_for_somebody_else(running: Product, open_page: OpenPage) -> None:
    page, _ = await at_the_studio(running, open_page)
    await _ordering(page, "Gift card €50")
    await page.get_by_role("button", name="Continue to payment").click()
    await pay_with(page, "Visa, succeeds")
    await page.get_by_role("button", name="Show the code of the gift card").click()
    shown = page.locator("#gift-card-code-shown")
    await expect(shown).to_have_text(re.compile("^(....-){3}....$"))
    code = await shown.inner_text()
    gift, friend = page.locator("#gift"), f"{uuid4().hex}@friends.example"
    await gift.get_by_label("For whom").fill("Ben")
    await gift.get_by_label("Their e-mail address").fill("ben")
    await gift.get_by_label("From").fill("Nora")
    await gift.get_by_label("What you want to say").fill("Happy birthday\nSee you soon")
    await gift.get_by_role("button", name="Send it").click()
    await expect(gift.get_by_label("Their e-mail address")).to_be_focused()
    await gift.get_by_label("Their e-mail address").fill(friend)
    await gift.get_by_role("button", name="Send it").click()
    await expect(page.locator("#gift-state")).to_have_text(re.compile(f"^It (was sent to|has arrived at) {friend}.$"))
    assert not await overflows(page)
    assert await weak_texts(page) == []
    [mail] = running.mails(friend)
    assert code in mail["text"]

    page, _ = await at_the_studio(running, open_page, color_scheme="dark", size=PHONE)
    await _ordering(page, "5 classes")
    await page.get_by_label("Gift card, if you have one").fill("no such card")
    await page.get_by_role("button", name="Use the codes").click()
    await expect(page.get_by_text("There is no such gift card.")).to_be_visible()
    owner = running.sign_in("owner")
    for made, off in (("TINY", 8970), ("NEARLY", 3980)):
        owner.post(f"/v1/{owner.studio}/promoCodes", {"code": made, "offMinor": off})
    await page.get_by_label("Gift card, if you have one").fill("")
    await page.get_by_label("Promo code").fill("tiny")
    await page.get_by_role("button", name="Use the codes").click()
    await expect(page.get_by_text("Less than €0.50 cannot be paid by card.")).to_be_visible()
    await page.get_by_label("Gift card, if you have one").fill(code.lower())
    await page.get_by_label("Promo code").fill("nearly")
    await page.get_by_role("button", name="Use the codes").click()
    kept = "Less than €0.50 cannot be paid by card, so €0.30 more stay on the gift card."
    await expect(page.locator("#renewal")).to_have_text(kept)
    await expect(page.locator("#lines")).to_contain_text("-€49.70")
    assert not await overflows(page)
    assert await weak_texts(page) == []
    await page.get_by_label("Promo code").fill("")
    await page.get_by_role("button", name="Use the codes").click()
    await expect(page.locator("#lines")).to_contain_text("€40.00")
    await expect(page.locator("#renewal")).to_have_text("")
    assert not await overflows(page)
    assert await weak_texts(page) == []
    await page.get_by_role("button", name="Continue to payment").click()
    await expect(page.get_by_role("button", name="Pay €40.00")).to_be_visible()
    await pay_with(page, "Visa, succeeds")
    await expect(page.locator("#outcome-text")).to_have_text("5 classes: you have 5 credits.")


async def test_a_link_to_the_page_calls_nothing_but_what_it_is_for(running: Product, open_page: OpenPage) -> None:
    page, _ = await at_the_studio(running, open_page)
    studio = running.sign_in("owner").studio
    written: list[str] = []
    page.on("request", lambda request: written.append(request.url) if request.method == "POST" else None)
    for asked in (f"card={studio}/memberships/{studio[8:]}:cancel%3f", f"membership={studio}/purchases/{studio[8:]}"):
        await page.goto(f"{running.url}/pay?{asked}")
        await expect(page.locator("#notice-text")).to_have_text("Please choose at the studio what to buy.")
    assert written == []
