-- What a gift card pays of a purchase is agreed when it is made, like its amounts.
CREATE FUNCTION guard_gift_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF (OLD.gift_card_id, OLD.gift_minor) IS DISTINCT FROM (NEW.gift_card_id, NEW.gift_minor) THEN
        RAISE EXCEPTION 'what a gift card pays is fixed' USING ERRCODE = 'check_violation';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER guard_gift BEFORE UPDATE ON purchases FOR EACH ROW EXECUTE FUNCTION guard_gift_v1();
