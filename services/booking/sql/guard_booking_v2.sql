-- A booking stays what it was made as, and only a booking that went with its session comes back.
--
-- Its client changes only with a merge that names it: to the survivor as this transaction merges, back as it undoes that.
CREATE FUNCTION guard_booking_v2() RETURNS trigger LANGUAGE plpgsql AS $$
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
        AND OLD.state <> 'CONFIRMED'
        AND NOT (OLD.session_cancelled AND NEW.state = 'CONFIRMED')
    THEN
        RAISE EXCEPTION 'a % booking cannot become %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER guard_booking ON bookings;
CREATE TRIGGER guard_booking BEFORE UPDATE ON bookings FOR EACH ROW EXECUTE FUNCTION guard_booking_v2();
DROP FUNCTION guard_booking_v1();
