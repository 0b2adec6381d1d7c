"""Mails that bring a gift card to somebody."""

from alembic import op

revision = "0009"
down_revision = "0007"

KINDS = (
    "'booking_confirmation', 'reminder', 'waitlist_promoted', 'waitlist_offer', 'class_cancelled', 'class_changed',"
    " 'displaced', 'fee_due', 'invitation', 'password_reset', 'generation_summary', 'delivery_alert', 'receipt',"
    " 'gift_card'"
)


def upgrade() -> None:
    op.drop_constraint("ck_deliveries_kind", "deliveries", type_="check")
    op.create_check_constraint("ck_deliveries_kind", "deliveries", f"kind IN ({KINDS})")
