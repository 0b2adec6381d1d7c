-- A purchase moves forward only, and what was agreed never changes. A wrong step is a programming error, so it is an
-- exception and not a silent no-op.
CREATE FUNCTION guard_purchase_v2() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT (OLD.state = NEW.state OR (OLD.state, NEW.state) IN (
        ('OPEN', 'PAID'), ('OPEN', 'CANCELLED'), ('PAID', 'FULFILLED'), ('PAID', 'RETURNED'), ('FULFILLED', 'RETURNED'))
    ) THEN
        RAISE EXCEPTION 'a purchase cannot go from % to %', OLD.state, NEW.state USING ERRCODE = 'check_violation';
    END IF;
    IF (OLD.client_id, OLD.pricing_option_id, OLD.kind, OLD.booking_id, OLD.terms_version, OLD.price_minor,
        OLD.discount_minor, OLD.net_minor, OLD.tax_minor, OLD.currency_code)
        IS DISTINCT FROM (NEW.client_id, NEW.pricing_option_id, NEW.kind, NEW.booking_id, NEW.terms_version,
        NEW.price_minor, NEW.discount_minor, NEW.net_minor, NEW.tax_minor, NEW.currency_code)
    THEN
        RAISE EXCEPTION 'the terms of a purchase are fixed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
DROP TRIGGER guard_purchase ON purchases;
DROP FUNCTION guard_purchase_v1;
CREATE TRIGGER guard_purchase BEFORE UPDATE ON purchases FOR EACH ROW EXECUTE FUNCTION guard_purchase_v2();
