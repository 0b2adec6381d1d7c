"""Studios at the wire."""

from collections.abc import AsyncIterator
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.studio_pb2 import Studio as StudioMessage
from services.chassis import blobs
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_name
from services.chassis.rpc.call import current_call
from services.chassis.rpc.codec import masked_fields, to_timestamp
from services.chassis.rpc.uploads import pieces
from services.scheduling import studios
from services.scheduling.models import Studio
from services.scheduling.rpc.methods import Methods


class StudioMethods(Methods):
    async def CreateStudio(self, request: pb.CreateStudioRequest, context: Any) -> StudioMessage:
        account_id = current_call().account()

        async def change(tx: UnitOfWork) -> StudioMessage:
            studio = await studios.create(
                tx,
                display_name=request.studio.display_name,
                time_zone=request.studio.time_zone,
                currency_code=request.studio.currency_code,
                generation_weeks=request.studio.generation_weeks,
                account_id=account_id,
            )
            return encode_studio(studio)

        return await self._database.write(change)

    async def GetStudio(self, request: pb.GetStudioRequest, context: Any) -> StudioMessage:
        parse_name(request.name, "studios/*", "name")
        async with self._database.read() as tx:
            return encode_studio(await studios.get(tx))

    async def ListStudios(self, request: pb.ListStudiosRequest, context: Any) -> pb.ListStudiosResponse:
        principal = current_call().principal
        page = self._pager.page(f"studios of {principal.name}", request.page_size, request.page_token)
        studio_ids = sorted(principal.roles)
        if not studio_ids:
            return pb.ListStudiosResponse()
        async with self._database.transaction(*studio_ids) as tx:
            rows = await studios.list_page(tx, studio_ids, page)
        shown, next_page_token = page.cut(rows, lambda studio: (studio.display_name, studio.tenant_id))
        return pb.ListStudiosResponse(
            studios=[encode_studio(studio) for studio in shown], next_page_token=next_page_token
        )

    async def UpdateStudio(self, request: pb.UpdateStudioRequest, context: Any) -> StudioMessage:
        parse_name(request.studio.name, "studios/*", "studio.name")
        fields = masked_fields(request.update_mask, request.studio, "studio", studios.MUTABLE)
        changes = {field: getattr(request.studio, field) for field in fields}

        async def change(tx: UnitOfWork) -> StudioMessage:
            return encode_studio(await studios.update(tx, request.studio.etag, changes))

        return await self._database.write(change)

    async def UploadStudioLogo(
        self, requests: AsyncIterator[pb.UploadStudioLogoRequest], context: Any
    ) -> StudioMessage:
        first = await anext(requests)
        parse_name(first.name, "studios/*", "name")
        blob = await blobs.store(
            self._database,
            current_call().tenant,
            pieces(requests, "logo"),
            field="logo",
            limit=studios.MAX_LOGO,
            type_of=studios.image_type,
        )

        async def change(tx: UnitOfWork) -> StudioMessage:
            return encode_studio(await studios.set_logo(tx, blob))

        return await self._database.write(change)

    async def DownloadStudioLogo(self, request: pb.DownloadStudioLogoRequest, context: Any) -> AsyncIterator[HttpBody]:
        parse_name(request.name, "studios/*", "name")
        async with self._database.read() as tx:
            blob = await studios.logo(tx)
        await context.send_initial_metadata((("etag", blob.etag),))
        content_type = blob.content_type
        async for data in blobs.content(self._database, current_call().tenant, blob):
            yield HttpBody(content_type=content_type, data=data)
            content_type = ""


def encode_studio(studio: Studio) -> StudioMessage:
    return StudioMessage(
        name=studio.name,
        display_name=studio.display_name,
        time_zone=studio.time_zone,
        currency_code=studio.currency_code,
        etag=studio.etag,
        create_time=to_timestamp(studio.create_time),
        update_time=to_timestamp(studio.update_time),
        logo=studio.logo.hex() if studio.logo else "",
        generation_weeks=studio.generation_weeks,
    )
