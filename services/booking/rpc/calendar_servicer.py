"""CalendarService: decode, call the noun, encode."""

import asyncio
from typing import Any
from uuid import UUID

from google.api.httpbody_pb2 import HttpBody

from powerhouse.booking.v1 import calendar_service_pb2 as pb
from powerhouse.booking.v1.calendar_service_pb2_grpc import CalendarServiceServicer
from services.booking import calendar_feeds, ics
from services.booking.models import CalendarFeed
from services.booking.rpc.names import child, name_of, only_own
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.errors import InvalidArgument
from services.chassis.resources import Resources
from services.chassis.rpc.codec import to_timestamp

CONTENT_TYPE = "text/calendar; charset=utf-8"


class CalendarServicer(CalendarServiceServicer):
    """The contract's comments name the errors."""

    def __init__(self, resources: Resources) -> None:
        self._database, self._pager = resources.database, resources.pager
        self._public_url = resources.settings.public_url.rstrip("/")

    async def CreateCalendarFeed(self, request: pb.CreateCalendarFeedRequest, context: Any) -> pb.CalendarFeed:
        collection, subject_id = _subject(request.calendar_feed.subject, "calendar_feed.subject")

        async def change(tx: UnitOfWork) -> pb.CalendarFeed:
            feed, file = await calendar_feeds.create(
                tx, collection=collection, subject_id=subject_id, account=only_own()
            )
            return _encode(feed, f"{self._public_url}/v1/calendars/{file}")

        return await self._database.write(change)

    async def ListCalendarFeeds(
        self, request: pb.ListCalendarFeedsRequest, context: Any
    ) -> pb.ListCalendarFeedsResponse:
        page = self._pager.page(f"calendar feeds {request.parent}", request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await calendar_feeds.list_newest(tx, page, only_own())
        shown, token = page.cut(rows, lambda row: (row.id,))
        return pb.ListCalendarFeedsResponse(calendar_feeds=[_encode(row) for row in shown], next_page_token=token)

    async def RevokeCalendarFeed(self, request: pb.RevokeCalendarFeedRequest, context: Any) -> pb.CalendarFeed:
        feed_id = child(request.name, "calendarFeeds", "name")

        async def change(tx: UnitOfWork) -> pb.CalendarFeed:
            return _encode(await calendar_feeds.revoke(tx, feed_id, only_own()))

        return await self._database.write(change)

    async def DownloadCalendar(self, request: pb.DownloadCalendarRequest, context: Any) -> HttpBody:
        studio = calendar_feeds.studio_of(request.file)
        async with self._database.transaction(studio) as tx:
            name, entries = await calendar_feeds.read(tx, request.file)
        # A third of a second for a thousand entries: bookings must not wait for it.
        calendar = await asyncio.to_thread(ics.render, name, entries, f"{self._public_url}/?studio={studio}")
        return HttpBody(content_type=CONTENT_TYPE, data=calendar)


def _subject(name: str, field: str) -> tuple[str, UUID]:
    collection = name.split("/")[2:3]
    if collection and collection[0] in calendar_feeds.SUBJECTS:
        return collection[0], child(name, collection[0], field)
    raise InvalidArgument(field, "must be a client, an instructor or a room", reason="MALFORMED_NAME")


def _encode(feed: CalendarFeed, url: str = "") -> pb.CalendarFeed:
    """`url` only in the answer that creates the feed."""
    return pb.CalendarFeed(
        name=name_of(feed.tenant_id, "calendarFeeds", feed.id),
        subject=name_of(feed.tenant_id, feed.subject_collection, feed.subject_id),
        url=url,
        hint=feed.hint,
        create_time=to_timestamp(feed.create_time),
        last_used_time=to_timestamp(feed.last_used_time),
        revoke_time=to_timestamp(feed.revoke_time),
    )
