"""The tables of payments. Checks and triggers are in migrations/ and sql/."""

from services.payments.models.base import Base
from services.payments.models.books import (
    BalanceTransaction,
    LedgerAccount,
    Payout,
    ProviderEvent,
    Reconciliation,
    Transfer,
)
from services.payments.models.catalogue import PricingOption, PromoCode, TaxRate, Terms
from services.payments.models.clients import ClientMerge, Customer
from services.payments.models.documents import GiftCard, GiftCardGuesses, GiftCardLetter, Receipt, ReceiptCounter
from services.payments.models.memberships import Membership, MembershipAttempt, MembershipPeriod, MembershipPrice
from services.payments.models.merchants import Letterhead, Merchant, MerchantAccount, Studio
from services.payments.models.payments import Dispute, Payment, PaymentAttempt, Refund
from services.payments.models.purchases import DropInPlace, Fee, PackageCredits, Purchase

__all__ = [
    "BalanceTransaction",
    "Base",
    "ClientMerge",
    "Customer",
    "Dispute",
    "DropInPlace",
    "Fee",
    "GiftCard",
    "GiftCardGuesses",
    "GiftCardLetter",
    "LedgerAccount",
    "Letterhead",
    "Membership",
    "MembershipAttempt",
    "MembershipPeriod",
    "MembershipPrice",
    "Merchant",
    "MerchantAccount",
    "PackageCredits",
    "Payment",
    "PaymentAttempt",
    "Payout",
    "PricingOption",
    "PromoCode",
    "ProviderEvent",
    "Purchase",
    "Receipt",
    "ReceiptCounter",
    "Reconciliation",
    "Refund",
    "Studio",
    "TaxRate",
    "Terms",
    "Transfer",
]
