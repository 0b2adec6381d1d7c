-- A refund moves forward only; what failed has failed. Banks may give a refund back after it succeeded.
CREATE FUNCTION guard_refund_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (OLD.state = NEW.state OR (OLD.state, NEW.state) IN (
        ('REQUESTED', 'FROZEN'), ('REQUESTED', 'FAILED'), ('FROZEN', 'PENDING'), ('FROZEN', 'SUCCEEDED'),
        ('FROZEN', 'FAILED'), ('PENDING', 'SUCCEEDED'), ('PENDING', 'FAILED'), ('SUCCEEDED', 'FAILED'))
    ) THEN
        RAISE EXCEPTION 'a refund cannot go from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard_refund BEFORE UPDATE ON refunds FOR EACH ROW EXECUTE FUNCTION guard_refund_v1();
