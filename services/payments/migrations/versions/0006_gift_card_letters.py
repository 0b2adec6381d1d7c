"""Gift cards are sent by mail, and their codes can be made again."""

from alembic import op

from services.chassis.db.migrations import guard
from services.chassis.db.urls import role_name

revision = "0006"
down_revision = "0005"

STATEMENTS = (
    # Codes of before can be made by nobody: the first that is shown or mailed from now on is number 1.
    """
    ALTER TABLE gift_cards
        ADD COLUMN code_version integer NOT NULL DEFAULT 0,
        ADD COLUMN mailed_version integer,
        ADD COLUMN letter_count integer NOT NULL DEFAULT 0,
        ADD CONSTRAINT ck_gift_cards_letter_count CHECK (letter_count BETWEEN 0 AND 5),
        ADD CONSTRAINT ck_gift_cards_mailed_version CHECK (mailed_version BETWEEN 1 AND code_version)""",
    """
    CREATE TABLE gift_card_letters (
        tenant_id uuid NOT NULL,
        gift_card_id uuid NOT NULL,
        number integer NOT NULL CHECK (number > 0),
        recipient_email text NOT NULL,
        recipient_display_name text NOT NULL,
        sender_display_name text NOT NULL,
        message text NOT NULL,
        language text NOT NULL,
        send_date date,
        due_time timestamptz NOT NULL,
        hand_over_time timestamptz,
        amount_minor bigint CHECK (amount_minor > 0),
        CONSTRAINT pk_gift_card_letters PRIMARY KEY (tenant_id, gift_card_id),
        FOREIGN KEY (tenant_id, gift_card_id) REFERENCES gift_cards,
        CONSTRAINT ck_gift_card_letters_handed_over CHECK ((hand_over_time IS NULL) = (amount_minor IS NULL))
    )""",
)


def upgrade() -> None:
    for statement in STATEMENTS:
        op.execute(statement)
    guard("gift_card_letters", role_name("payments", "app"), privileges="SELECT, INSERT, UPDATE, DELETE")
