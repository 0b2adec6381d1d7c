"""The one studio that takes money by the key itself: no connected account anywhere, all else is the same."""

from grpc import StatusCode

from embedded.certificates import Certificates
from powerhouse.payments.v1.merchant_service_pb2 import CreateOnboardingLinkRequest
from powerhouse.payments.v1.purchase_service_pb2 import Purchase
from powerhouse.payments.v1.refund_service_pb2 import Refund
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.clock import real_now
from services.chassis.ids import new_id
from tests.integration.booking.house import refused
from tests.integration.payments.house import Shop, services
from tests.support.services import Mesh


async def test_a_studio_with_a_key_of_its_own(
    postgres_url: str, certificates: Certificates, stripe_sandbox: str
) -> None:
    tenant, account = new_id(), new_id()
    mesh = Mesh(postgres_url, certificates)
    async with services(mesh, stripe_sandbox, POWERHOUSE_OWN_KEY_STUDIO=str(tenant)) as (payments, booking):
        mesh.clock.instant = real_now().replace(microsecond=0)
        await payments.sql("DELETE FROM jobs")
        shop = Shop(payments, booking, stripe_sandbox, tenant=tenant)
        try:
            await shop.open()
            assert shop.account == ""
            link = CreateOnboardingLinkRequest(name=f"{shop.name}/merchantAccount")
            await refused(shop.staff.CreateOnboardingLink(link), StatusCode.FAILED_PRECONDITION, "NO_ONBOARDING")
            client, person = await shop.add_client(account), shop.as_role(Role.ROLE_CLIENT, account)
            await shop.save_card(client, person)
            assert [card.last4 for card in await shop.cards(client, person)] == ["4242"]
            purchase = await shop.buy(client, await shop.sell(), 10_000, stub=person)
            session = await shop.start(purchase, person)
            assert session.external_account == ""
            await shop.confirm(session)
            await shop.tell_all()
            assert (await shop.get(purchase)).state == Purchase.FULFILLED
            fee = await shop.buy(client, await shop.sell(500, 0, kind="FEE"), 500)
            await shop.work_off()
            assert (await shop.get(fee)).state == Purchase.FULFILLED
            refund = await shop.refund(purchase, 10_000, 10)
            await shop.work_off()
            assert (await shop.get_refund(refund)).state == Refund.SUCCEEDED
            compared = await shop.reconcile()
            assert (list(compared.differences), compared.difference_minor) == ([], 0)
            assert await shop.violations() == {}
            # Another studio beside it has an account of its own.
            other = Shop(payments, booking, stripe_sandbox)
            await other.open()
            assert other.account.startswith("acct_")
        finally:
            # There is one such merchant in a database.
            await payments.sql("DELETE FROM merchants WHERE external_account = ''")
