-- A booking stays what it was made as, and takes only the steps of its life.
--
-- Its client changes only with a merge that names it: to the survivor as this transaction merges, back as it undoes that.
CREATE FUNCTION guard_booking_v3() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ROW(NEW.tenant_id, NEW.id, NEW.class_session_id, NEW.client_package_id, NEW.policy_version)
        IS DISTINCT FROM
        ROW(OLD.tenant_id, OLD.id, OLD.class_session_id, OLD.client_package_id, OLD.policy_version)
    THEN
        RAISE EXCEPTION 'a booking keeps its session, client, package and policy' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.client_id <> OLD.client_id AND NOT EXISTS (
        SELECT FROM client_merges m
        WHERE m.tenant_id = OLD.tenant_id AND m.xmin = pg_current_xact_id()::xid AND m.moved -> 'bookings' ? OLD.id::text
            AND ARRAY[NEW.client_id, OLD.client_id] = CASE WHEN m.undo_time IS NULL
                THEN ARRAY[m.survivor_id, m.duplicate_id] ELSE ARRAY[m.duplicate_id, m.survivor_id] END
    ) THEN
        RAISE EXCEPTION 'a booking keeps its client but for a merge' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state <> OLD.state
        AND NOT (OLD.session_cancelled AND NEW.state = 'CONFIRMED')
        AND (OLD.state, NEW.state) NOT IN (
            ('PENDING_PAYMENT', 'CONFIRMED'),
            ('PENDING_PAYMENT', 'EXPIRED'),
            ('PENDING_PAYMENT', 'CANCELLED_EARLY'),
            ('PENDING_PAYMENT', 'CANCELLED_LATE'),
            -- Paid after its hold had ended, and a place was still free.
            ('EXPIRED', 'CONFIRMED'),
            ('CONFIRMED', 'CANCELLED_EARLY'),
            ('CONFIRMED', 'CANCELLED_LATE'),
            ('CONFIRMED', 'ATTENDED'),
            ('CONFIRMED', 'NO_SHOW'),
            -- Checked in by mistake; there after all.
            ('ATTENDED', 'CONFIRMED'),
            ('NO_SHOW', 'ATTENDED'),
            -- The class is still to come: it was moved.
            ('NO_SHOW', 'CONFIRMED'),
            -- The class never took place.
            ('ATTENDED', 'CANCELLED_EARLY'),
            ('NO_SHOW', 'CANCELLED_EARLY')
        )
    THEN
        RAISE EXCEPTION 'a % booking cannot become %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER guard_booking BEFORE UPDATE ON bookings FOR EACH ROW EXECUTE FUNCTION guard_booking_v3();
