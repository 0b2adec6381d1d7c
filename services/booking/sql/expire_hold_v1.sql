-- A place that waits for its payment is looked at again when its hold ends. Bookings with a credit never come here.
CREATE FUNCTION expire_hold_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO jobs (id, tenant_id, kind, dedup_key, args, due_at)
    VALUES (
        gen_random_uuid(), NEW.tenant_id, 'expire_drop_in', NEW.id::text, jsonb_build_object('booking_id', NEW.id),
        NEW.hold_expire_time
    );
    RETURN NULL;
END $$;
CREATE TRIGGER expire_hold AFTER INSERT ON bookings FOR EACH ROW WHEN (NEW.state = 'PENDING_PAYMENT')
EXECUTE FUNCTION expire_hold_v1();
