"""A purchase that is RETURNED gives the use of its promo code back."""

from alembic import op

revision = "0008"
down_revision = "0007"

TABLES = ("promo_codes", "purchases", "memberships")
# What was returned before comes back as well. Counted anew, so that it may be run again.
STATEMENT = """
    UPDATE promo_codes c SET redemptions = (
        SELECT count(*) FROM purchases p
        WHERE p.tenant_id = c.tenant_id AND p.promo_code_id = c.id AND p.state NOT IN ('CANCELLED', 'RETURNED'))
        + (SELECT count(*) FROM memberships m
        WHERE m.tenant_id = c.tenant_id AND m.promo_code_id = c.id AND m.end_reason <> 'NEVER_PAID')
    WHERE redemptions > 0"""


def upgrade() -> None:
    # It looks at the rows of all studios.
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY")
    op.execute(STATEMENT)
    for table in TABLES:
        op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")
