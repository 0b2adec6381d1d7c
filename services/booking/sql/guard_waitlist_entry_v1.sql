-- An entry stays whose and what for it is, and takes only the steps of its life.
CREATE FUNCTION guard_waitlist_entry_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF ROW(NEW.tenant_id, NEW.id, NEW.class_session_id, NEW.client_id, NEW.displaced, NEW.join_time)
        IS DISTINCT FROM ROW(OLD.tenant_id, OLD.id, OLD.class_session_id, OLD.client_id, OLD.displaced, OLD.join_time)
    THEN
        RAISE EXCEPTION 'an entry keeps its session, client and place' USING ERRCODE = 'check_violation';
    END IF;
    IF NEW.state <> OLD.state
        AND OLD.state <> 'WAITING'
        AND NOT (OLD.state = 'OFFERED' AND NEW.state IN ('WAITING', 'PROMOTED', 'DECLINED', 'EXPIRED', 'REMOVED'))
        -- The class is on again.
        AND NOT (OLD.state = 'REMOVED' AND OLD.reason = 'SESSION_CANCELLED' AND NEW.state = 'WAITING')
    THEN
        RAISE EXCEPTION 'a % entry cannot become %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard_waitlist_entry BEFORE UPDATE ON waitlist_entries
    FOR EACH ROW EXECUTE FUNCTION guard_waitlist_entry_v1();
