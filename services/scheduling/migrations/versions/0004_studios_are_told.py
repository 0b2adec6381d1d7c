"""Studios that were there before `StudioChanged` are told of once."""

from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.execute(
        "INSERT INTO jobs (id, kind, dedup_key, due_at) VALUES (gen_random_uuid(), 'tell_of_studios', '0004', now())"
    )
