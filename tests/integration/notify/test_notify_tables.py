"""The tables: as the models say, and each of a studio's rows guarded."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text

from services.chassis.ids import new_id
from services.notify.models import Base
from tests.integration.notify.house import Post


async def test_the_migrated_schema_is_what_the_models_say(post: Post) -> None:
    def differences(connection: Connection) -> list[object]:
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _: kind != "table" or name in Base.metadata.tables}
        )
        return list(compare_metadata(context, Base.metadata))

    async with post.notify.resources.database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_a_queue_shows_the_rows_of_all_studios_and_nothing_else(post: Post) -> None:
    invitation, _ = await post.invite()
    await post.carry(post.identity, invitation)
    await post.work_off()
    database = post.notify.resources.database
    [row] = await database.queue("SELECT count(*) AS n FROM deliveries WHERE subject_id = $1", invitation)
    assert row["n"] == 1
    [row] = await database.queue("SELECT count(*) AS n FROM audit_entries")
    assert row["n"] == 0
    async with database.transaction(new_id()) as tx:
        assert not (await tx.session.execute(text("SELECT 1 FROM deliveries"))).all()
