"""Locations at the wire."""

from typing import Any

from powerhouse.scheduling.v1 import scheduling_service_pb2 as pb
from powerhouse.scheduling.v1.studio_pb2 import Location as LocationMessage
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.rpc.codec import masked_fields, to_timestamp
from services.scheduling import locations
from services.scheduling.models import Location
from services.scheduling.rpc.methods import Methods, child_id


class LocationMethods(Methods):
    async def CreateLocation(self, request: pb.CreateLocationRequest, context: Any) -> LocationMessage:
        async def change(tx: UnitOfWork) -> LocationMessage:
            location = await locations.create(
                tx,
                display_name=request.location.display_name,
                address=request.location.address,
                time_zone=request.location.time_zone,
            )
            return encode_location(location)

        return await self._database.write(change)

    async def GetLocation(self, request: pb.GetLocationRequest, context: Any) -> LocationMessage:
        return await self._get(Location, encode_location, request.name)

    async def ListLocations(self, request: pb.ListLocationsRequest, context: Any) -> pb.ListLocationsResponse:
        shown, next_page_token = await self._list(Location, encode_location, request)
        return pb.ListLocationsResponse(locations=shown, next_page_token=next_page_token)

    async def UpdateLocation(self, request: pb.UpdateLocationRequest, context: Any) -> LocationMessage:
        location_id = child_id(request.location.name, Location, "location.name")
        fields = masked_fields(request.update_mask, request.location, "location", locations.MUTABLE)
        changes = {field: getattr(request.location, field) for field in fields}

        async def change(tx: UnitOfWork) -> LocationMessage:
            return encode_location(await locations.update(tx, location_id, request.location.etag, changes))

        return await self._database.write(change)

    async def DeleteLocation(self, request: pb.DeleteLocationRequest, context: Any) -> LocationMessage:
        return await self._archive(Location, encode_location, request.name, request.etag)

    async def UndeleteLocation(self, request: pb.UndeleteLocationRequest, context: Any) -> LocationMessage:
        return await self._restore(Location, encode_location, request.name)


def encode_location(location: Location) -> LocationMessage:
    return LocationMessage(
        name=location.name,
        display_name=location.display_name,
        address=location.address,
        time_zone=location.time_zone,
        etag=location.etag,
        create_time=to_timestamp(location.create_time),
        update_time=to_timestamp(location.update_time),
        archive_time=to_timestamp(location.archive_time),
    )
