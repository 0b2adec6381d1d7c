-- What has ended stays ended; whose it is and what was agreed when it was joined never changes.
CREATE FUNCTION guard_membership_v2() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF OLD.state = 'ENDED' AND NEW.state <> 'ENDED' THEN
        RAISE EXCEPTION 'a membership that has ended cannot be % again', NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF (OLD.client_id, OLD.external_account, OLD.promo_code_id, OLD.first_total_minor, OLD.intro_offer)
        IS DISTINCT FROM (NEW.client_id, NEW.external_account, NEW.promo_code_id, NEW.first_total_minor,
        NEW.intro_offer)
        OR NEW.external_id IS DISTINCT FROM coalesce(OLD.external_id, NEW.external_id)
    THEN
        RAISE EXCEPTION 'a membership stays whose and what it is' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER guard_membership ON memberships;
DROP FUNCTION guard_membership_v1;
CREATE TRIGGER guard_membership BEFORE UPDATE ON memberships FOR EACH ROW EXECUTE FUNCTION guard_membership_v2();
