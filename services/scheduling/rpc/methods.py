"""What the methods of every catalogue resource share: get, list, archive, bring back."""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar
from uuid import UUID

from google.protobuf.message import Message

from services.chassis.clock import Clock
from services.chassis.db.database import Database
from services.chassis.db.paging import Pager
from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import parse_child
from services.chassis.rpc.call import current_call
from services.chassis.rpc.stubs import Stubs
from services.scheduling import catalogue
from services.scheduling.models import Catalogued

Row = TypeVar("Row", bound=Catalogued)
Resource = TypeVar("Resource", bound=Message)


class ListRequest(Protocol):
    """What the list requests of catalogue resources have in common."""

    page_size: int
    page_token: str
    show_archived: bool


class Methods:
    """A part of SchedulingServicer, with what it works with."""

    def __init__(self, database: Database, pager: Pager, stubs: Stubs) -> None:
        self._database, self._pager, self._stubs = database, pager, stubs

    @property
    def _clock(self) -> Clock:
        return self._database.clock

    async def _get(self, kind: type[Row], encode: Callable[[Row], Resource], name: str) -> Resource:
        resource_id = child_id(name, kind, "name")
        async with self._database.read() as tx:
            return encode(await catalogue.get(tx, kind, resource_id))

    async def _list(
        self, kind: type[Row], encode: Callable[[Row], Resource], request: ListRequest
    ) -> tuple[list[Resource], str]:
        query = f"{kind.COLLECTION} {current_call().tenant} {request.show_archived}"
        page = self._pager.page(query, request.page_size, request.page_token)
        async with self._database.read() as tx:
            rows = await catalogue.list_page(tx, kind, page, show_archived=request.show_archived)
        shown, next_page_token = page.cut(rows, lambda row: (row.display_name, row.id))
        return [encode(row) for row in shown], next_page_token

    async def _archive(self, kind: type[Row], encode: Callable[[Row], Resource], name: str, etag: str) -> Resource:
        resource_id = child_id(name, kind, "name")

        async def change(tx: UnitOfWork) -> Resource:
            return encode(await catalogue.archive(tx, kind, resource_id, etag))

        return await self._database.write(change)

    async def _restore(self, kind: type[Row], encode: Callable[[Row], Resource], name: str) -> Resource:
        resource_id = child_id(name, kind, "name")

        async def change(tx: UnitOfWork) -> Resource:
            return encode(await catalogue.restore(tx, kind, resource_id))

        return await self._database.write(change)


def child_id(name: str, kind: type[Any], field: str) -> UUID:
    """The id in the name of a catalogue resource of the call's studio. Raises InvalidArgument for `field`."""
    return parse_child(name, f"studios/*/{kind.COLLECTION}/*", field, current_call().tenant)


def only_own() -> UUID | None:
    """The account to which the call is narrowed; None when it may touch the whole studio."""
    call = current_call()
    return None if call.whole_studio else call.account()
