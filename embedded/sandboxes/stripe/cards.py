"""The test cards and bank accounts of Stripe's documentation, by the names it gives them; never by numbers."""

from dataclasses import dataclass

from embedded.sandboxes.stripe.wire import Object

MESSAGES = {
    "card_declined": "Your card was declined.",
    "insufficient_funds": "Your card has insufficient funds.",
    "expired_card": "Your card has expired.",
    "incorrect_cvc": "Your card's security code is incorrect.",
    "processing_error": "An error occurred while processing your card. Try again in a little bit.",
    "authentication_required": "Your card was declined. This transaction requires authentication.",
}


@dataclass(frozen=True)
class Card:
    """How a card behaves; `asks` says when its bank wants the person."""

    last4: str
    label: str = ""
    brand: str = "visa"
    funding: str = "credit"
    country: str = "US"
    code: str | None = None
    decline_code: str | None = None
    attaches: bool = False
    # never, optional, always, unless_set_up, is_set_up
    asks: str = "never"
    dispute: str | None = None
    inquiry: bool = False
    refund: str = "succeeds"
    available_at_once: bool = False
    # apple_pay, google_pay
    wallet: str = ""

    @property
    def message(self) -> str:
        """What a person reads when it is declined."""
        return MESSAGES["insufficient_funds" if self.decline_code == "insufficient_funds" else self.code or ""]


def _declined(last4: str, decline_code: str, label: str, code: str = "card_declined", **more: object) -> Card:
    return Card(last4, label, code=code, decline_code=decline_code, **more)  # type: ignore[arg-type]


# What the payment form offers, in its order, carries a label.
CARDS: dict[str, Card] = {
    "pm_card_visa": Card("4242", "Visa, succeeds"),
    "pm_card_mastercard": Card("4444", "Mastercard, succeeds", "mastercard"),
    # Of no page of Stripe's: there a device makes them.
    "pm_wallet_apple_pay": Card("4242", "Apple Pay", wallet="apple_pay"),
    "pm_wallet_google_pay": Card("4444", "Google Pay", "mastercard", wallet="google_pay"),
    "pm_card_visa_debit": Card("5556", funding="debit"),
    "pm_card_mastercard_debit": Card("8210", brand="mastercard", funding="debit"),
    "pm_card_mastercard_prepaid": Card("5100", brand="mastercard", funding="prepaid"),
    "pm_card_amex": Card("8431", brand="amex"),
    "pm_card_discover": Card("1117", brand="discover"),
    "pm_card_diners": Card("0004", brand="diners"),
    "pm_card_jcb": Card("0505", brand="jcb"),
    "pm_card_unionpay": Card("0005", brand="unionpay"),
    "pm_card_us": Card("4242"),
    "pm_card_gb": Card("0003", country="GB"),
    "pm_card_de": Card("0006", country="DE"),
    "pm_card_jp": Card("0003", country="JP"),
    "pm_card_threeDSecure2Required": Card("3220", "3-D Secure, asked of the person", asks="always"),
    "pm_card_authenticationRequired": Card("3184", "3-D Secure on every payment", asks="always"),
    "pm_card_authenticationRequiredOnSetup": Card("3155", "3-D Secure unless set up before", asks="unless_set_up"),
    "pm_card_authenticationRequiredSetupForOffSession": Card("0446", asks="is_set_up"),
    "pm_card_threeDSecureOptional": Card("3055", "3-D Secure, optional", asks="optional"),
    "pm_card_visa_chargeDeclined": _declined("0002", "generic_decline", "Declined"),
    "pm_card_chargeDeclined": _declined("0002", "generic_decline", ""),
    "pm_card_visa_chargeDeclinedInsufficientFunds": _declined(
        "9995", "insufficient_funds", "Declined: insufficient funds"
    ),
    "pm_card_chargeDeclinedInsufficientFunds": _declined("9995", "insufficient_funds", ""),
    "pm_card_chargeDeclinedExpiredCard": _declined("0069", "expired_card", "Declined: expired card", "expired_card"),
    "pm_card_visa_chargeDeclinedLostCard": _declined("9987", "lost_card", ""),
    "pm_card_chargeDeclinedLostCard": _declined("9987", "lost_card", ""),
    "pm_card_visa_chargeDeclinedStolenCard": _declined("9979", "stolen_card", ""),
    "pm_card_chargeDeclinedStolenCard": _declined("9979", "stolen_card", ""),
    "pm_card_chargeDeclinedFraudulent": _declined("0019", "fraudulent", ""),
    "pm_card_visa_chargeDeclinedVelocityLimitExceeded": _declined("6975", "card_velocity_exceeded", ""),
    "pm_card_chargeDeclinedIncorrectCvc": _declined("0127", "incorrect_cvc", "", "incorrect_cvc"),
    "pm_card_chargeDeclinedProcessingError": _declined("0119", "processing_error", "", "processing_error"),
    "pm_card_chargeCustomerFail": _declined("0341", "generic_decline", "Saved, then declined", attaches=True),
    "pm_card_threeDSecureRequiredChargeDeclined": _declined(
        "1629", "generic_decline", "3-D Secure, then declined", asks="always", attaches=True
    ),
    "pm_card_authenticationRequiredChargeDeclinedInsufficientFunds": _declined(
        "3178", "insufficient_funds", "", asks="always", attaches=True
    ),
    "pm_card_createDispute": Card("0259", "Succeeds, disputed later", dispute="fraudulent"),
    "pm_card_createDisputeProductNotReceived": Card("2685", dispute="product_not_received"),
    "pm_card_createDisputeInquiry": Card("1976", dispute="fraudulent", inquiry=True),
    "pm_card_pendingRefund": Card("7726", refund="pending"),
    "pm_card_refundFail": Card("5126", refund="fails"),
    "pm_card_bypassPending": Card("0077", available_at_once=True),
}
BANKS: dict[str, str | None] = {
    "pm_usBankAccount_success": None,
    "pm_usBankAccount_insufficientFunds": "insufficient_funds",
    "pm_usBankAccount_accountClosed": "account_closed",
}
TOKENS = {name.replace("pm_card_", "tok_"): name for name in CARDS}


def card_details(card: Card, now_year: int) -> Object:
    """A PaymentMethod's `card`."""
    return {
        "brand": card.brand,
        "checks": {"address_line1_check": None, "address_postal_code_check": None, "cvc_check": "pass"},
        "country": card.country,
        "display_brand": card.brand,
        "exp_month": 12,
        "exp_year": now_year + 4,
        "fingerprint": f"sandbox{card.brand}{card.last4}",
        "funding": card.funding,
        "generated_from": None,
        "last4": card.last4,
        "networks": {"available": [card.brand], "preferred": None},
        "regulated_status": "unregulated",
        "three_d_secure_usage": {"supported": card.asks != "never"},
        "wallet": {"type": card.wallet, card.wallet: {}, "dynamic_last4": card.last4} if card.wallet else None,
    }


def bank_details() -> Object:
    """A PaymentMethod's `us_bank_account`."""
    return {
        "account_holder_type": "individual",
        "account_type": "checking",
        "bank_name": "STRIPE TEST BANK",
        "financial_connections_account": None,
        "fingerprint": "sandboxbank6789",
        "last4": "6789",
        "networks": {"preferred": "ach", "supported": ["ach"]},
        "routing_number": "110000000",
        "status_details": {},
    }
