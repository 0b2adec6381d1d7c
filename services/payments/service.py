"""What payments consists of."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from powerhouse.payments.v1 import (
    catalogue_service_pb2,
    catalogue_service_pb2_grpc,
    fact_service_pb2,
    fact_service_pb2_grpc,
    gift_card_service_pb2,
    gift_card_service_pb2_grpc,
    membership_service_pb2,
    membership_service_pb2_grpc,
    merchant_service_pb2,
    merchant_service_pb2_grpc,
    payment_method_service_pb2,
    payment_method_service_pb2_grpc,
    purchase_service_pb2,
    purchase_service_pb2_grpc,
    receipt_service_pb2,
    receipt_service_pb2_grpc,
    reconciliation_service_pb2,
    reconciliation_service_pb2_grpc,
    refund_service_pb2,
    refund_service_pb2_grpc,
    webhook_service_pb2,
    webhook_service_pb2_grpc,
)
from services.chassis.resources import Resources
from services.chassis.rpc.server import Servicer
from services.chassis.service import Service
from services.payments.consumers import consumers
from services.payments.jobs import jobs
from services.payments.rpc.catalogue_servicer import CatalogueServicer
from services.payments.rpc.fact_servicer import FactServicer
from services.payments.rpc.gift_card_servicer import GiftCardServicer
from services.payments.rpc.membership_servicer import MembershipServicer
from services.payments.rpc.merchant_servicer import MerchantServicer
from services.payments.rpc.payment_method_servicer import PaymentMethodServicer
from services.payments.rpc.purchase_servicer import PurchaseServicer
from services.payments.rpc.receipt_servicer import ReceiptServicer
from services.payments.rpc.reconciliation_servicer import ReconciliationServicer
from services.payments.rpc.refund_servicer import RefundServicer
from services.payments.rpc.webhook_servicer import WebhookServicer
from services.payments.settings import PaymentsSettings


def _servicers(resources: Resources) -> Sequence[Servicer]:
    return [
        _of(catalogue_service_pb2, catalogue_service_pb2_grpc, CatalogueServicer(resources)),
        _of(membership_service_pb2, membership_service_pb2_grpc, MembershipServicer(resources)),
        _of(gift_card_service_pb2, gift_card_service_pb2_grpc, GiftCardServicer(resources)),
        _of(merchant_service_pb2, merchant_service_pb2_grpc, MerchantServicer(resources)),
        _of(payment_method_service_pb2, payment_method_service_pb2_grpc, PaymentMethodServicer(resources)),
        _of(purchase_service_pb2, purchase_service_pb2_grpc, PurchaseServicer(resources)),
        _of(receipt_service_pb2, receipt_service_pb2_grpc, ReceiptServicer(resources)),
        _of(reconciliation_service_pb2, reconciliation_service_pb2_grpc, ReconciliationServicer(resources)),
        _of(refund_service_pb2, refund_service_pb2_grpc, RefundServicer(resources)),
        _of(fact_service_pb2, fact_service_pb2_grpc, FactServicer(resources)),
        _of(webhook_service_pb2, webhook_service_pb2_grpc, WebhookServicer(resources)),
    ]


def _of(contract: Any, stubs: Any, implementation: Any) -> Servicer:
    """What serves the one service of a proto file, given the two modules made of it."""
    (descriptor,) = contract.DESCRIPTOR.services_by_name.values()
    return Servicer(descriptor, getattr(stubs, f"add_{descriptor.name}Servicer_to_server"), implementation)


SERVICE = Service(
    name="payments",
    folder=Path(__file__).parent,
    settings=PaymentsSettings,
    servicers=_servicers,
    consumers=consumers,
    jobs=jobs,
)
