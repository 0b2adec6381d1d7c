"""PreferenceService: decode, call the noun, encode."""

from typing import Any

from google.api.httpbody_pb2 import HttpBody

from powerhouse.notify.v1 import preference_service_pb2 as pb
from powerhouse.notify.v1.notify_service_pb2 import Delivery
from powerhouse.notify.v1.preference_service_pb2_grpc import PreferenceServiceServicer
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.resources import Resources
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import from_timestamp, masked_fields, to_timestamp
from services.notify import consent, preferences, reminders, senders, unsubscribe
from services.notify.links import Link, Links
from services.notify.models import Channel
from services.notify.rpc.names import of_client, reachable_client
from services.notify.rpc.preference_encoding import MUTABLE, decode, decode_kind, encode, encode_consent

_NAME = "studios/*/clients/*/preferences"


class PreferenceServicer(PreferenceServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._resources, self._database, self._pager = resources, resources.database, resources.pager
        self._links = Links(resources.settings.secret)

    async def GetPreferences(self, request: pb.GetPreferencesRequest, context: Any) -> pb.Preferences:
        client_id = await reachable_client(self._resources, of_client(request.name, _NAME, "name"))
        async with self._database.read() as tx:
            return encode(*await preferences.get(tx, client_id))

    async def UpdatePreferences(self, request: pb.UpdatePreferencesRequest, context: Any) -> pb.Preferences:
        given, call = request.preferences, current_call()
        fields = masked_fields(request.update_mask, given, "preferences", MUTABLE)
        changes = decode(given, fields)
        client_id = await reachable_client(self._resources, of_client(given.name, _NAME, "preferences.name"))
        source = consent.Source.STAFF if call.whole_studio else consent.Source.CLIENT

        async def change(tx: UnitOfWork) -> pb.Preferences:
            changed = await preferences.update(
                tx, client_id, changes, etag=given.etag, source=source, principal=call.principal.name
            )
            await reminders.rearrange(tx, changed[0].client_id)
            return encode(*changed)

        return await self._database.write(change)

    async def ListConsents(self, request: pb.ListConsentsRequest, context: Any) -> pb.ListConsentsResponse:
        client_id = await reachable_client(self._resources, of_client(request.parent, "studios/*/clients/*", "parent"))
        page = self._pager.page(f"consents {request.parent}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await consent.list_newest(tx, page, client_id)
        shown, token = page.cut(rows, lambda row: (row.id,))
        return pb.ListConsentsResponse(
            consents=[encode_consent(row, client_id) for row in shown], next_page_token=token
        )

    async def CreateConsent(self, request: pb.CreateConsentRequest, context: Any) -> pb.Consent:
        given, call = request.consent, current_call()
        kind = decode_kind(given.kind, "consent.kind")
        client_id = await reachable_client(self._resources, of_client(request.parent, "studios/*/clients/*", "parent"))

        async def change(tx: UnitOfWork) -> pb.Consent:
            row = await preferences.record_consent(
                tx,
                client_id,
                kind=kind,
                channel=Channel(Delivery.Channel.Name(given.channel).lower()),
                granted=given.granted,
                source=consent.Source(pb.Consent.Source.Name(given.source).lower()),
                principal=call.principal.name,
                at=from_timestamp(given, "time") or tx.now(),
            )
            assert row.client_id
            await reminders.rearrange(tx, row.client_id)
            return encode_consent(row, row.client_id)

        return await self._database.write(change)

    async def OpenPreferences(self, request: pb.OpenPreferencesRequest, context: Any) -> pb.OpenPreferencesResponse:
        link = self._links.read(request.token)
        async with self._database.transaction(link.tenant) as tx:
            shown = encode(*await preferences.get(tx, link.client_id))
            name = (await senders.brand(tx, "")).display_name
        return pb.OpenPreferencesResponse(
            preferences=shown,
            studio_display_name=name,
            kinds=[Delivery.Kind.Value(kind.upper()) for kind in preferences.CLIENT_KINDS],
            expire_time=to_timestamp(link.expire_time),
        )

    async def SavePreferences(self, request: pb.SavePreferencesRequest, context: Any) -> pb.Preferences:
        link, changes = self._links.read(request.token), decode(request.preferences, MUTABLE)

        async def change(tx: UnitOfWork) -> pb.Preferences:
            await tx.enter(link.tenant)
            etag, source = request.preferences.etag, consent.Source.LINK
            changed = await preferences.update(
                tx, link.client_id, changes, etag=etag, source=source, principal="anonymous"
            )
            await reminders.rearrange(tx, changed[0].client_id)
            return encode(*changed)

        return await self._database.write(change)

    async def ShowUnsubscribe(self, request: pb.ShowUnsubscribeRequest, context: Any) -> HttpBody:
        return await self._page(self._links.read(request.token), request.token, done=False)

    async def Unsubscribe(self, request: pb.UnsubscribeRequest, context: Any) -> HttpBody:
        link = self._links.read(request.token)

        async def change(tx: UnitOfWork) -> HttpBody:
            await tx.enter(link.tenant)
            tx.resource = f"studios/{link.tenant}/clients/{link.client_id}/preferences"
            await preferences.opt_out(tx, link.client_id, link.kind, Channel.EMAIL, "anonymous")
            return HttpBody()

        await self._database.write(change)
        return await self._page(link, request.token, done=True)

    async def _page(self, link: Link, token: str, *, done: bool) -> HttpBody:
        async with self._database.transaction(link.tenant) as tx:
            brand = await senders.brand(tx, "")
            wanted, _ = await preferences.get(tx, link.client_id)
        language = wanted.language or link.language
        page = unsubscribe.page(link.kind, brand.display_name, token, language, done=done)
        return HttpBody(content_type="text/html; charset=utf-8", data=page.encode())
