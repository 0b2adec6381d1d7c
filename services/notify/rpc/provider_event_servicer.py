"""ProviderEventService on the wire."""

from typing import Any

from google.api.httpbody_pb2 import HttpBody

from powerhouse.notify.v1 import provider_event_service_pb2 as pb
from powerhouse.notify.v1.provider_event_service_pb2_grpc import ProviderEventServiceServicer
from services.chassis.db.database import Database
from services.notify import provider_events
from services.notify.providers.webhooks import Webhook
from services.notify.settings import NotifySettings


class ProviderEventServicer(ProviderEventServiceServicer):
    """Decodes, calls, encodes."""

    def __init__(self, database: Database, settings: NotifySettings) -> None:
        self._database, self._settings = database, settings

    async def ReceiveProviderEvents(self, request: pb.ReceiveProviderEventsRequest, context: Any) -> HttpBody:
        webhook = Webhook(request.url, dict(request.headers), request.body.data)
        provider = request.source.partition("/")[0]
        answer = await provider_events.receive(self._database, self._settings, provider, webhook)
        return HttpBody(content_type="text/xml" if answer else "text/plain", data=answer.encode())
