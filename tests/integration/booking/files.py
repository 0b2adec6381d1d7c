"""Files into a studio and out of it, and the jobs that work on them."""

import json
from collections.abc import AsyncIterator
from typing import Any

from google.api.httpbody_pb2 import HttpBody

from powerhouse.booking.v1 import import_service_pb2 as pb
from powerhouse.booking.v1.import_service_pb2 import Import, ImportRow
from powerhouse.policy.v1.policy_pb2 import Role
from services.booking.service import SERVICE
from services.chassis.ids import new_id
from services.chassis.jobs.registry import Job, Outcome
from tests.integration.booking.house import House, key


async def run_job(house: House, kind: str) -> Outcome | None:
    """Runs the next queued job of the studio, as a worker would; None when there is none."""
    rows = await house.running.sql(
        "SELECT id, tenant_id, kind, dedup_key, args::text, due_at, attempts FROM jobs"
        " WHERE tenant_id = $1 AND kind = $2 AND state = 'queued' ORDER BY id LIMIT 1",
        house.tenant,
        kind,
    )
    if not rows:
        return None
    row = rows[0]
    job = Job(
        id=row["id"],
        tenant=row["tenant_id"],
        kind=kind,
        dedup_key=row["dedup_key"],
        args=json.loads(row["args"]),
        due_at=row["due_at"],
        attempts=row["attempts"] + 1,
        lease_token=new_id(),
        traceparent=None,
    )
    outcome = await SERVICE.jobs.kinds[kind].handler(house.running.resources, job)
    await house.running.sql("UPDATE jobs SET state = 'done', finish_time = now() WHERE id = $1", row["id"])
    return outcome


class Files:
    """Imports of one studio, as its manager."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.manager: Any = house.as_role(Role.ROLE_MANAGER)

    async def upload(self, data: bytes | str, kind: int = Import.CLIENTS, *, stub: Any = None, **fields: Any) -> Import:
        content = data.encode() if isinstance(data, str) else data

        async def requests() -> AsyncIterator[pb.UploadImportRequest]:
            yield pb.UploadImportRequest(parent=self.house.name, kind=kind, **fields)  # type: ignore[arg-type]
            for start in range(0, len(content), 100_000):
                yield pb.UploadImportRequest(file=HttpBody(data=content[start : start + 100_000]))
            yield pb.UploadImportRequest()

        made: Import = await (stub or self.manager).UploadImport(requests())
        return made

    async def check(self, made: Import, **reading: Any) -> Import:
        request = pb.CheckImportRequest(name=made.name, reading=pb.ImportReading(**reading), request_id=key())
        await self.manager.CheckImport(request)
        return await self.finish(made)

    async def run(self, made: Import, **reading: Any) -> Import:
        request = pb.RunImportRequest(name=made.name, reading=pb.ImportReading(**reading), request_id=key())
        await self.manager.RunImport(request)
        return await self.finish(made)

    async def finish(self, made: Import) -> Import:
        while await run_job(self.house, "import_chunk") is not None:
            pass
        return await self.get(made)

    async def get(self, made: Import) -> Import:
        read: Import = await self.manager.GetImport(pb.GetImportRequest(name=made.name))
        return read

    async def rows(self, made: Import, **filters: Any) -> list[ImportRow]:
        request = pb.ListImportRowsRequest(parent=made.name, page_size=200, **filters)
        return list((await self.manager.ListImportRows(request)).rows)

    async def report(self, made: Import) -> list[tuple[int, str, str]]:
        """Line, outcome and reason."""
        return [(row.line, ImportRow.Outcome.Name(row.outcome), row.reason) for row in await self.rows(made)]

    async def bring(self, data: bytes | str, kind: int = Import.CLIENTS, source: str = "", **reading: Any) -> Import:
        """Uploads and runs."""
        return await self.run(await self.upload(data, kind, source=source), **reading)


def counts(done: Import) -> tuple[int, int, int, int]:
    """Created, updated, unchanged, refused."""
    return done.rows_created, done.rows_updated, done.rows_unchanged, done.rows_refused
