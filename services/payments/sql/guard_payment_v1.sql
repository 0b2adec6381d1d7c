-- Money that came in stays in; what comes back is refunded. The amount is fixed.
CREATE FUNCTION guard_payment_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (OLD.state = NEW.state OR OLD.state = 'OPEN') THEN
        RAISE EXCEPTION 'a payment cannot go from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF (OLD.purchase_id, OLD.amount_minor, OLD.currency_code)
        IS DISTINCT FROM (NEW.purchase_id, NEW.amount_minor, NEW.currency_code)
    THEN
        RAISE EXCEPTION 'the amount of a payment is fixed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard_payment BEFORE UPDATE ON payments FOR EACH ROW EXECUTE FUNCTION guard_payment_v1();
