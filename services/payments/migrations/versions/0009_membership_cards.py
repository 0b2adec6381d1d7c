"""Which card pays a membership. Of those there are it is known once the provider tells of them again."""

from alembic import op

revision = "0009"
down_revision = "0008"

STATEMENTS = (
    """
    ALTER TABLE memberships
        ADD COLUMN card_id uuid,
        ADD COLUMN card_brand text NOT NULL DEFAULT '',
        ADD COLUMN card_last4 text NOT NULL DEFAULT '' CHECK (length(card_last4) <= 4),
        ADD COLUMN card_expire_month integer NOT NULL DEFAULT 0 CHECK (card_expire_month BETWEEN 0 AND 12),
        ADD COLUMN card_expire_year integer NOT NULL DEFAULT 0 CHECK (card_expire_year >= 0),
        ADD CONSTRAINT ck_memberships_card CHECK ((card_id IS NULL) = (card_brand = ''))""",
    "CREATE INDEX ix_memberships_card_id ON memberships (tenant_id, card_id) WHERE card_id IS NOT NULL",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
