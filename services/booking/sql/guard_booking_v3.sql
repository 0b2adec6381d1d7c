-- A booking stays what it was made as, and takes only the steps of its life.
CREATE FUNCTION guard_booking_v3() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ROW(NEW.tenant_id, NEW.id, NEW.class_session_id, NEW.client_id, NEW.client_package_id, NEW.policy_version)
        IS DISTINCT FROM
        ROW(OLD.tenant_id, OLD.id, OLD.class_session_id, OLD.client_id, OLD.client_package_id, OLD.policy_version)
    THEN
        RAISE EXCEPTION 'a booking keeps its session, client, package and policy' USING ERRCODE = 'check_violation';
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
