"""A client buys a pack and gets a part of it back, through everything: gateway, webhooks, workers, booking."""

from typing import Any

import httpx

from tests.support.product import Product, Visitor, eventually


def opened(product: Product, owner: Visitor) -> str:
    """The studio's account at the sandbox, onboarded; its id there."""
    wanted = {"currencyCode": "EUR", "countryCode": "DE"}
    account: str = owner.post(f"/v1/{owner.studio}/merchantAccount:open", wanted)["externalAccount"]
    states = dict.fromkeys(("charges_enabled", "payouts_enabled", "details_submitted"), True)
    sandbox = f"http://127.0.0.1:{product.facts['ports']['stripe']}"
    httpx.post(f"{sandbox}/sandbox/accounts/{account}", json=states).raise_for_status()
    eventually(
        lambda: owner.get(f"/v1/{owner.studio}/merchantAccount")["state"] == "ACTIVE", what="the account is active"
    )
    return account


def confirm(product: Product, session: dict[str, Any], card: str) -> None:
    """What the provider's form does in the browser."""
    secret: str = session["clientSecret"]
    kind = "setup_intents" if secret.startswith("seti_") else "payment_intents"
    httpx.post(
        f"http://127.0.0.1:{product.facts['ports']['stripe']}/v1/{kind}/{secret.partition('_secret_')[0]}/confirm",
        data={"client_secret": secret, "payment_method": card, "return_url": product.url},
        headers={
            "Authorization": f"Bearer {session['publishableKey']}",
            "Stripe-Account": session["externalAccount"],
        },
    )


def test_a_pack_is_bought_and_partly_refunded(running: Product) -> None:
    owner, client = running.sign_in("owner"), running.sign_in("client")
    studio = owner.studio
    opened(running, owner)
    option = owner.post(
        f"/v1/{studio}/pricingOptions", {"displayName": "5 mornings", "priceMinor": "9000", "credits": 5}
    )["name"]
    me = client.get(f"/v1/{studio}/clients")["clients"][0]["name"]
    wanted = {"client": me, "pricingOption": option}
    total = client.post(f"/v1/{studio}/purchases:quote", wanted)["totalMinor"]
    purchase = client.post(f"/v1/{studio}/purchases", {**wanted, "totalMinor": total})["name"]

    confirm(running, client.post(f"/v1/{purchase}:pay", {}), "pm_card_visa_chargeDeclined")
    [attempt] = eventually(lambda: client.get(f"/v1/{purchase}")["attempts"], what="the declined try is shown")
    assert attempt["message"] == "Payment declined. Please try different card."

    confirm(running, client.post(f"/v1/{purchase}:pay", {}), "pm_card_visa")
    paid = eventually(
        lambda: (read := client.get(f"/v1/{purchase}"))["state"] == "FULFILLED" and read, what="the pack is there"
    )
    assert client.get(f"/v1/{paid['clientPackage']}")["creditsLeft"] == 5

    shown = owner.post(f"/v1/{purchase}:previewRefund", {"amountMinor": "3600"})
    assert (shown["creditsRevoked"], shown["creditsLeft"]) == (2, 5)
    asked = {"purchase": purchase, "amountMinor": "3600", "creditsRevoked": 2, "reason": "moved away"}
    refund = owner.post(f"/v1/{studio}/refunds", asked)["name"]
    eventually(lambda: owner.get(f"/v1/{refund}")["state"] == "SUCCEEDED", what="the money is back")
    assert client.get(f"/v1/{paid['clientPackage']}")["creditsLeft"] == 3
    assert client.get(f"/v1/{purchase}")["refundedMinor"] == "3600"


def test_a_forged_webhook_is_refused_at_the_door(running: Product) -> None:
    answer = httpx.post(
        f"{running.url}/webhooks/stripe",
        content=b'{"id": "evt_1"}',
        headers={"Stripe-Signature": "t=1,v1=00", "Content-Type": "application/json"},
    )
    assert (answer.status_code, answer.json()["error"]["details"][0]["reason"]) == (403, "SIGNATURE_INVALID")
