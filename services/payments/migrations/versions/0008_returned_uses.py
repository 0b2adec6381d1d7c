"""A purchase that is RETURNED gives the use of its promo code back."""

from alembic import op

revision = "0008"
down_revision = "0007"

STATEMENTS = (
    # What was returned before comes back as well, in all studios.
    "ALTER TABLE purchases NO FORCE ROW LEVEL SECURITY",
    "ALTER TABLE promo_codes NO FORCE ROW LEVEL SECURITY",
    """
    UPDATE promo_codes c SET redemptions = c.redemptions - r.returned
    FROM (SELECT tenant_id, promo_code_id, count(*) AS returned FROM purchases
        WHERE state = 'RETURNED' AND promo_code_id IS NOT NULL GROUP BY tenant_id, promo_code_id) r
    WHERE r.tenant_id = c.tenant_id AND r.promo_code_id = c.id""",
    "ALTER TABLE purchases FORCE ROW LEVEL SECURITY",
    "ALTER TABLE promo_codes FORCE ROW LEVEL SECURITY",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
