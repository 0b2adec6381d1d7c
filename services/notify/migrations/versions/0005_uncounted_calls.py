"""A call that was not made is not counted; nor of a mail that a provider may have from an earlier call."""

from services.chassis.db.migrations import run_script

revision = "0005"
down_revision = "0004"

STATE_GUARD = """
CREATE OR REPLACE FUNCTION guard_delivery_state() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' AND NEW.state IN ('pending', 'skipped') THEN
        RETURN NEW;
    END IF;
    IF TG_OP = 'UPDATE' AND NEW.state = OLD.state AND NEW.attempts = OLD.attempts
        AND (NEW.reason, NEW.outcome, NEW.accept_time) IS NOT DISTINCT FROM (OLD.reason, OLD.outcome, OLD.accept_time)
    THEN
        RETURN NEW;
    END IF;
    -- A call that was not made after all is not counted.
    IF TG_OP = 'UPDATE'
        AND NEW.attempts >= OLD.attempts - (OLD.state = 'sending' AND NEW.state IN ('sending', 'pending'))::int AND (
        OLD.state = 'pending' AND NEW.state IN ('pending', 'sending', 'skipped', 'failed')
        OR OLD.state = 'sending' AND NEW.state IN (
            'sending', 'pending', 'unknown', 'accepted', 'delivered', 'skipped', 'failed')
        OR OLD.state = 'unknown' AND NEW.state IN ('unknown', 'accepted', 'delivered', 'skipped', 'failed')
        OR OLD.state = 'accepted' AND NEW.state IN ('delivered', 'failed') AND NEW.outcome <> ''
        OR OLD.state = 'delivered' AND NEW.state IN ('delivered', 'failed') AND NEW.outcome <> ''
        OR OLD.state = 'skipped' AND NEW.state = 'pending' AND OLD.attempts = 0
        OR OLD.state = 'skipped' AND NEW.state IN ('accepted', 'delivered') AND OLD.attempts > 0
        OR OLD.state = 'failed' AND NEW.state IN ('accepted', 'delivered') AND OLD.attempts > 0
    ) THEN
        RETURN NEW;
    END IF;
    RAISE EXCEPTION 'a delivery cannot become % that way', NEW.state USING ERRCODE = 'check_violation';
END $$;
"""


def upgrade() -> None:
    run_script(STATE_GUARD)
