"""DeliveryReportService: decode, call the noun, encode."""

from datetime import UTC, datetime
from typing import Any

from powerhouse.notify.v1 import delivery_report_service_pb2 as pb
from powerhouse.notify.v1.delivery_report_service_pb2_grpc import DeliveryReportServiceServicer
from powerhouse.notify.v1.notify_service_pb2 import Delivery
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_child, parse_name
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import from_timestamp, to_timestamp
from services.notify import delivery_views
from services.notify.delivery_views import Warned
from services.notify.rpc.names import of_client, reachable_client

_CLIENT = "studios/*/clients/*"
# From when no arithmetic underflows.
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class DeliveryReportServicer(DeliveryReportServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._resources, self._database, self._pager = resources, resources.database, resources.pager

    async def GetDeliveryReport(self, request: pb.GetDeliveryReportRequest, context: Any) -> pb.DeliveryReport:
        parse_name(request.parent, "studios/*", "parent")
        now = self._resources.clock.now()
        until = from_timestamp(request, "end_time") or now
        since = from_timestamp(request, "start_time") or max(until, _LONG_AGO) - delivery_views.USUAL_PERIOD
        async with self._database.read() as tx:
            by_channel, by_reason = await delivery_views.figures(tx, since, until)
        return pb.DeliveryReport(
            channels=[
                pb.DeliveryReport.ChannelFigures(
                    channel=Delivery.Channel.Value(row["channel"].upper()),
                    sent=row["sent"],
                    delivered=row["delivered"],
                    failed=row["failed"],
                    skipped=row["skipped"],
                    open=row["open"],
                    lateness_p50_seconds=row["p50"],
                    lateness_p99_seconds=row["p99"],
                )
                for row in by_channel
            ],
            reasons=[
                pb.DeliveryReport.ReasonFigures(
                    channel=Delivery.Channel.Value(row["channel"].upper()),
                    state=Delivery.State.Value(row["state"].upper()),
                    reason=row["reason"],
                    count=row["count"],
                )
                for row in by_reason
            ],
            start_time=to_timestamp(since),
            end_time=to_timestamp(until),
            as_of_time=to_timestamp(now),
        )

    async def ListClientWarnings(
        self, request: pb.ListClientWarningsRequest, context: Any
    ) -> pb.ListClientWarningsResponse:
        page = self._pager.page(f"client warnings {request.parent}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await delivery_views.list_warned(tx, page)
        shown, token = page.cut(rows, lambda row: (row.fail_time, row.delivery_id))
        return pb.ListClientWarningsResponse(client_warnings=[_encode(row) for row in shown], next_page_token=token)

    async def BatchGetClientWarnings(
        self, request: pb.BatchGetClientWarningsRequest, context: Any
    ) -> pb.BatchGetClientWarningsResponse:
        tenant = current_call().tenant
        client_ids = [parse_child(name, _CLIENT, "clients", tenant) for name in request.clients]
        async with self._database.read() as tx:
            rows = await delivery_views.warned(tx, client_ids)
        return pb.BatchGetClientWarningsResponse(client_warnings=[_encode(row) for row in rows])

    async def DismissClientWarnings(
        self, request: pb.DismissClientWarningsRequest, context: Any
    ) -> pb.DismissClientWarningsResponse:
        client_id = await reachable_client(self._resources, of_client(request.name, _CLIENT, "name"))

        async def change(tx: UnitOfWork) -> pb.DismissClientWarningsResponse:
            tx.resource = request.name
            return pb.DismissClientWarningsResponse(
                dismiss_time=to_timestamp(await delivery_views.dismiss(tx, client_id))
            )

        return await self._database.write(change)


def _encode(row: Warned) -> pb.ClientWarning:
    studio = f"studios/{current_call().tenant}"
    return pb.ClientWarning(
        client=f"{studio}/clients/{row.client_id}",
        channel=Delivery.Channel.Value(row.channel.upper()),
        delivery=f"{studio}/deliveries/{row.delivery_id}",
        reason=row.reason,
        fail_time=to_timestamp(row.fail_time),
    )
