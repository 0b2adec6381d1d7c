"""The tables: as the models say, and each of a studio's rows guarded."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection

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
