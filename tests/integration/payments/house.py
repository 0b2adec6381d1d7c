"""What payments' tests share: a studio that sells, its account at the sandbox, and the browser of a client who pays.

Webhooks are the sandbox's own events, signed here, so that a test decides which come, when and in what order.
"""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import stripe
from google.api.httpbody_pb2 import HttpBody

from embedded.children import answers
from embedded.processes import free_port
from powerhouse.booking.v1 import client_service_pb2, credit_service_pb2
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.payments.v1 import (
    catalogue_pb2,
    catalogue_service_pb2,
    merchant_service_pb2,
    payment_method_service_pb2,
    refund_service_pb2,
)
from powerhouse.payments.v1 import purchase_service_pb2 as pb
from powerhouse.payments.v1.catalogue_service_pb2_grpc import CatalogueServiceStub
from powerhouse.payments.v1.gift_card_service_pb2_grpc import GiftCardServiceStub
from powerhouse.payments.v1.membership_service_pb2_grpc import MembershipServiceStub
from powerhouse.payments.v1.merchant_service_pb2_grpc import MerchantServiceStub
from powerhouse.payments.v1.payment_method_service_pb2_grpc import PaymentMethodServiceStub
from powerhouse.payments.v1.purchase_service_pb2_grpc import PurchaseServiceStub
from powerhouse.payments.v1.receipt_service_pb2_grpc import ReceiptServiceStub
from powerhouse.payments.v1.reconciliation_service_pb2 import GetReconciliationRequest, Reconciliation
from powerhouse.payments.v1.reconciliation_service_pb2_grpc import ReconciliationServiceStub
from powerhouse.payments.v1.refund_service_pb2_grpc import RefundServiceStub
from powerhouse.payments.v1.webhook_service_pb2 import ReceiveStripeEventRequest
from powerhouse.payments.v1.webhook_service_pb2_grpc import WebhookServiceStub
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.chassis.jobs.timing import Timing
from services.chassis.jobs.worker import Worker
from services.chassis.messaging import inbox
from services.chassis.messaging.envelope import COLUMNS, Envelope
from services.payments import invariants, reconciling
from services.payments.consumers import consumers
from services.payments.jobs import jobs
from tests.integration.booking.house import BookingStub, House, key
from tests.support.services import Mesh, Running, together

API_KEY, PUBLISHABLE_KEY, SECRET, OLD_SECRET = "sk_test_payments", "pk_test_payments", "whsec_new", "whsec_old"
# What the sandbox calls the account of the key itself.
OWN_ACCOUNT = "acct_1Sandbox0000001"
TIMING = Timing(retry_pause=0.02, lease=30)
PaymentsStub = together(
    CatalogueServiceStub,
    MembershipServiceStub,
    GiftCardServiceStub,
    MerchantServiceStub,
    PaymentMethodServiceStub,
    PurchaseServiceStub,
    ReceiptServiceStub,
    ReconciliationServiceStub,
    RefundServiceStub,
    WebhookServiceStub,
)


@contextmanager
def sandbox_process(directory: Path) -> Iterator[str]:
    """The Stripe sandbox as a process; its address."""
    port = free_port()
    command = [sys.executable, "-m", "embedded.sandboxes.stripe", "--port", str(port), "--directory", str(directory)]
    with subprocess.Popen(command, env={**os.environ, "STRIPE_API_KEY": API_KEY}, stdout=subprocess.DEVNULL) as process:
        try:
            deadline = time.monotonic() + 60
            while not answers(port):
                assert time.monotonic() < deadline, "the sandbox did not start"
                time.sleep(0.05)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(10)


def environment(sandbox: str) -> dict[str, str]:
    """What payments is told."""
    return {
        "STRIPE_API_KEY": API_KEY,
        "STRIPE_PUBLISHABLE_KEY": PUBLISHABLE_KEY,
        "STRIPE_API_URL": sandbox,
        "STRIPE_WEBHOOK_SECRETS": f"{SECRET},{OLD_SECRET}",
    }


@dataclass
class Shop:
    """One studio; `staff` calls as its owner, `booker` as its owner at booking."""

    payments: Running
    booking: Running
    sandbox: str
    account: str = ""
    tenant: UUID = field(default_factory=new_id)

    def __post_init__(self) -> None:
        self.staff: Any = self.as_role(Role.ROLE_OWNER)
        self.booker: Any = self.booking.as_account(BookingStub, roles={self.tenant: [Role.ROLE_OWNER]})
        self.gateway: Any = self.payments.as_service(PaymentsStub, "gateway")

    @property
    def name(self) -> str:
        return f"studios/{self.tenant}"

    def as_role(self, role: "Role.ValueType", account: UUID | None = None) -> Any:
        return self.payments.as_account(PaymentsStub, account, {self.tenant: [role]})

    def move(self, **by: int) -> None:
        self.payments.mesh.clock.move(timedelta(**by))

    async def open(self, currency: str = "EUR", country: str = "DE", *, active: bool = True) -> None:
        """Opens the merchant account, and onboards it."""
        wanted = merchant_service_pb2.OpenMerchantAccountRequest(
            parent=self.name, currency_code=currency, country_code=country
        )
        self.account = (await self.staff.OpenMerchantAccount(wanted)).external_account
        if active:
            states = dict.fromkeys(("charges_enabled", "payouts_enabled", "details_submitted"), True)
            await self.control("POST", f"accounts/{self.account or OWN_ACCOUNT}", states)
            await self.tell_all()

    def house(self) -> House:
        """The same studio at booking."""
        return House(self.booking, self.tenant, self.booker)

    async def hear(self, *, work: bool = True) -> None:
        """All events of booking in the studio come, the latest first, and what they cause is done."""
        told = f"SELECT {COLUMNS} FROM outbox WHERE tenant_id = $1 ORDER BY version DESC"
        rows = await self.booking.sql(told, self.tenant)
        for row in rows:
            # One by one: a batch would be sorted.
            await inbox.apply(self.payments.resources.database, consumers, [Envelope.of_row(row)])
        if work:
            await self.work_off()

    async def add_client(self, account: UUID | None = None) -> str:
        client = Client(display_name="Clara", account=f"accounts/{account}" if account else "")
        made = await self.booker.CreateClient(
            client_service_pb2.CreateClientRequest(parent=self.name, client=client, request_id=key())
        )
        return str(made.name)

    async def sell(self, price: int = 10_000, credits: int = 10, **terms: Any) -> str:
        """Something for sale."""
        option = catalogue_pb2.PricingOption(
            display_name=terms.pop("display_name", "10 classes"), price_minor=price, credits=credits, **terms
        )
        made = await self.staff.CreatePricingOption(
            catalogue_service_pb2.CreatePricingOptionRequest(parent=self.name, pricing_option=option, request_id=key())
        )
        return str(made.name)

    async def tax(self, rate_ppm: int = 190_000, *, inclusive: bool = False) -> str:
        rate = catalogue_pb2.TaxRate(display_name="VAT", rate_ppm=rate_ppm, inclusive=inclusive)
        made = await self.staff.CreateTaxRate(
            catalogue_service_pb2.CreateTaxRateRequest(parent=self.name, tax_rate=rate, request_id=key())
        )
        return str(made.name)

    async def promo(self, code: str = "HELLO", **terms: Any) -> catalogue_pb2.PromoCode:
        made: catalogue_pb2.PromoCode = await self.staff.CreatePromoCode(
            catalogue_service_pb2.CreatePromoCodeRequest(
                parent=self.name, promo_code=catalogue_pb2.PromoCode(code=code, **terms), request_id=key()
            )
        )
        return made

    def quote(self, client: str, option: str, code: str = "", stub: Any = None, booking: str = "") -> Any:
        wanted = pb.QuotePurchaseRequest(
            parent=self.name, client=client, pricing_option=option, code=code, booking=booking
        )
        return (stub or self.staff).QuotePurchase(wanted)

    def buy(
        self,
        client: str,
        option: str,
        total: int,
        code: str = "",
        *,
        stub: Any = None,
        request_id: str = "",
        **more: Any,
    ) -> Any:
        wanted = pb.CreatePurchaseRequest(
            parent=self.name, client=client, pricing_option=option, code=code, total_minor=total, **more
        )
        wanted.request_id = request_id or key()
        return (stub or self.staff).CreatePurchase(wanted)

    def start(self, purchase: pb.Purchase, stub: Any = None) -> Any:
        return (stub or self.staff).StartPayment(pb.StartPaymentRequest(name=purchase.name))

    def cancel(self, purchase: pb.Purchase, stub: Any = None) -> Any:
        return (stub or self.staff).CancelPurchase(pb.CancelPurchaseRequest(name=purchase.name))

    async def get(self, purchase: pb.Purchase) -> pb.Purchase:
        read: pb.Purchase = await self.staff.GetPurchase(pb.GetPurchaseRequest(name=purchase.name))
        return read

    async def confirm(self, session: pb.PaymentSession, card: str = "pm_card_visa") -> dict[str, Any]:
        """What Stripe.js does in the browser: it has the publishable key and the client secret."""
        intent = session.client_secret.partition("_secret_")[0]
        kind = "setup_intents" if intent.startswith("seti_") else "payment_intents"
        form = {"client_secret": session.client_secret, "payment_method": card, "return_url": "https://studio.example/"}
        if not card:
            del form["payment_method"]
        async with httpx.AsyncClient(timeout=60) as browser:
            answer = await browser.post(
                f"{self.sandbox}/v1/{kind}/{intent}/confirm",
                data=form,
                headers={"Authorization": f"Bearer {session.publishable_key}", **self._on_account()},
            )
        told: dict[str, Any] = answer.json()
        return told

    async def authenticate(self, answer: dict[str, Any], *, succeeds: bool = True) -> None:
        """What the client does in the bank's window."""
        async with httpx.AsyncClient(timeout=60) as browser:
            done = await browser.post(
                f"{self.sandbox}/elements/authenticate/{answer['client_secret']}",
                json={"outcome": "succeed" if succeeds else "fail"},
            )
        done.raise_for_status()

    async def pay(self, purchase: pb.Purchase, card: str = "pm_card_visa") -> dict[str, Any]:
        return await self.confirm(await self.start(purchase), card)

    async def bought(self, price: int = 10_000, credits: int = 10, card: str = "pm_card_visa") -> pb.Purchase:
        """A purchase that is paid, fulfilled and known here."""
        purchase = await self.buy(await self.add_client(), await self.sell(price, credits), price)
        await self.pay(purchase, card)
        await self.tell_all()
        return await self.get(purchase)

    async def save_card(
        self, client: str, person: Any, card: str = "pm_card_visa", replaces: str = ""
    ) -> dict[str, Any]:
        """The client saves a card in the browser, and we hear of it."""
        setup = payment_method_service_pb2.StartCardSetupRequest(parent=client, replaces=replaces)
        answer = await self.confirm(await person.StartCardSetup(setup), card)
        await self.tell_all()
        return answer

    async def cards(self, client: str, stub: Any = None) -> list[Any]:
        """What the client has saved."""
        wanted = payment_method_service_pb2.ListPaymentMethodsRequest(parent=client)
        return list((await (stub or self.staff).ListPaymentMethods(wanted)).payment_methods)

    def preview(self, purchase: pb.Purchase, amount: int = 0) -> Any:
        return self.staff.PreviewRefund(
            refund_service_pb2.PreviewRefundRequest(name=purchase.name, amount_minor=amount)
        )

    def refund(self, purchase: pb.Purchase, amount: int, credits: int, *, request_id: str = "") -> Any:
        wanted = refund_service_pb2.CreateRefundRequest(
            parent=self.name, purchase=purchase.name, amount_minor=amount, credits_revoked=credits, reason="moved away"
        )
        wanted.request_id = request_id or key()
        return self.staff.CreateRefund(wanted)

    def get_refund(self, refund: refund_service_pb2.Refund) -> Any:
        return self.staff.GetRefund(refund_service_pb2.GetRefundRequest(name=refund.name))

    async def told(self) -> list[dict[str, Any]]:
        """All that the provider has told of the studio's account, oldest first."""
        client = stripe.StripeClient(API_KEY, base_addresses={"api": self.sandbox}, http_client=stripe.HTTPXClient())
        options: Any = {"stripe_account": self.account} if self.account else {}
        page = await client.v1.events.list_async({"limit": 100}, options)
        events = [{**event.to_dict(), "account": self.account} async for event in page.auto_paging_iter()]
        return list(reversed(events))

    async def tell(self, events: Sequence[dict[str, Any]], secret: str = SECRET) -> None:
        """Webhooks, one after the other, as the gateway forwards them."""
        for event in events:
            body = json.dumps(event, default=str)
            signature = stripe.WebhookSignature.generate_signature_header(body, secret)
            await self.webhook(body.encode(), signature)

    def webhook(self, body: bytes, signature: str) -> Any:
        """One request of the provider, as the gateway forwards it."""
        return self.gateway.ReceiveStripeEvent(
            ReceiveStripeEventRequest(body=HttpBody(data=body), headers={"stripe-signature": signature})
        )

    async def tell_all(self) -> None:
        """Every webhook comes, and what it causes is done."""
        await self.tell(await self.told())
        await self.work_off()

    async def work_off(self) -> None:
        """Runs due jobs until none is left."""
        worker = Worker(self.payments.resources, jobs, TIMING)
        async with asyncio.timeout(60):
            while rows := await self.payments.sql(
                "SELECT id FROM jobs WHERE state IN ('queued', 'running') AND due_at <= $1",
                self.payments.mesh.clock.now(),
            ):
                await worker.run([row["id"] for row in rows])
                await asyncio.sleep(0.02)

    async def reconcile(self) -> Reconciliation:
        """As the tick does, for this studio, once the provider has written a line for each charge."""
        await self.control("POST", "timers", {"account": self.account or OWN_ACCOUNT, "within": 2})
        await reconciling.reconcile(self.payments.resources, self.tenant, self.account)
        await self.work_off()
        await reconciling.reconcile(self.payments.resources, self.tenant, self.account)
        read: Reconciliation = await self.staff.GetReconciliation(
            GetReconciliationRequest(name=f"{self.name}/reconciliation")
        )
        return read

    def _on_account(self) -> dict[str, str]:
        return {"Stripe-Account": self.account} if self.account else {}

    async def control(self, method: str, path: str, body: dict[str, Any]) -> Any:
        """Makes things happen at the sandbox."""
        async with httpx.AsyncClient(timeout=60) as client:
            answer = await client.request(method, f"{self.sandbox}/sandbox/{path}", json=body)
        return answer.raise_for_status().json()

    async def misbehave(self, fault: str, path: str, times: int) -> None:
        """How the provider will fail."""
        await self.control("PUT", "faults", {fault: {"count": times, "path": path}})

    async def packages(self, client: str) -> list[Any]:
        """What booking has given the client."""
        listed = await self.booker.ListClientPackages(
            credit_service_pb2.ListClientPackagesRequest(parent=self.name, client=client)
        )
        return list(listed.client_packages)

    async def transfers(self) -> dict[str, int]:
        """What the ledger holds, by cause."""
        rows = await self.payments.sql(
            "SELECT cause, sum(amount_minor)::bigint AS amount FROM transfers WHERE tenant_id = $1 GROUP BY cause",
            self.tenant,
        )
        return {row["cause"]: row["amount"] for row in rows}

    async def wait_until_held_up(self, count: int) -> None:
        """Until so many in payments' database wait for others' locks."""
        held_up = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        for _ in range(1000):
            if len(await self.payments.sql(held_up)) >= count:
                return
            await asyncio.sleep(0.01)
        raise AssertionError(f"{count} were to wait for a lock")

    async def violations(self) -> dict[str, int]:
        """Invariants that do not hold."""
        async with self.payments.resources.database.transaction(self.tenant) as tx:
            return {name: count for name, count in (await invariants.violations(tx)).items() if count}


@asynccontextmanager
async def services(mesh: Mesh, sandbox: str, **extra: str) -> AsyncIterator[tuple[Running, Running]]:
    """payments and booking over real gRPC; `extra` adds to what payments is told."""
    from services.booking.service import SERVICE as BOOKING
    from services.payments.service import SERVICE as PAYMENTS

    async with mesh.running(BOOKING) as booking, mesh.running(PAYMENTS, environment(sandbox) | extra) as payments:
        yield payments, booking
