"""News of money: fees that were declined, memberships, places that could not be had, disputes, gift cards."""

from alembic import op

revision = "0008"
down_revision = "0007"

KINDS = (
    "'booking_confirmation', 'reminder', 'waitlist_promoted', 'waitlist_offer', 'class_cancelled', 'class_changed',"
    " 'displaced', 'fee_due', 'invitation', 'password_reset', 'generation_summary', 'delivery_alert', 'receipt',"
    " 'fee_declined', 'membership_joined', 'membership_past_due', 'membership_cancelled', 'membership_ended',"
    " 'membership_paused', 'purchase_returned', 'dispute_alert', 'gift_card'"
)


def upgrade() -> None:
    op.drop_constraint("ck_deliveries_kind", "deliveries", type_="check")
    op.create_check_constraint("ck_deliveries_kind", "deliveries", f"kind IN ({KINDS})")
