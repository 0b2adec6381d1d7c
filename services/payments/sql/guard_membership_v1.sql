-- What has ended stays ended, and whose it is never changes.
CREATE FUNCTION guard_membership_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'ENDED' AND NEW.state <> 'ENDED' THEN
        RAISE EXCEPTION 'a membership that has ended cannot be % again', NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF (OLD.client_id, OLD.external_account) IS DISTINCT FROM (NEW.client_id, NEW.external_account)
        OR NEW.external_id IS DISTINCT FROM coalesce(OLD.external_id, NEW.external_id)
    THEN
        RAISE EXCEPTION 'a membership stays whose and what it is' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard_membership BEFORE UPDATE ON memberships FOR EACH ROW EXECUTE FUNCTION guard_membership_v1();
