-- A booking stays what it was made as, and only a booking that went with its session comes back.
CREATE FUNCTION guard_booking_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ROW(NEW.tenant_id, NEW.id, NEW.class_session_id, NEW.client_id, NEW.client_package_id, NEW.policy_version)
        IS DISTINCT FROM
        ROW(OLD.tenant_id, OLD.id, OLD.class_session_id, OLD.client_id, OLD.client_package_id, OLD.policy_version)
    THEN
        RAISE EXCEPTION 'a booking keeps its session, client, package and policy' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state <> OLD.state
        AND OLD.state <> 'CONFIRMED'
        AND NOT (OLD.session_cancelled AND NEW.state = 'CONFIRMED')
    THEN
        RAISE EXCEPTION 'a % booking cannot become %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard_booking BEFORE UPDATE ON bookings FOR EACH ROW EXECUTE FUNCTION guard_booking_v1();
