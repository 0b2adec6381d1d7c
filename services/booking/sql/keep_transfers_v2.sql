-- The ledger is append-only: a mistake is put right by another transfer. Only what staff say of a transfer may become
-- 'erased', when the person it is about is erased: no credit moves by that.
CREATE FUNCTION keep_transfers_v2() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' THEN
        IF NEW.reason = 'erased' AND to_jsonb(NEW) - 'reason' = to_jsonb(OLD) - 'reason' THEN
            RETURN NEW;
        END IF;
    END IF;
    RAISE EXCEPTION 'transfers are immutable' USING ERRCODE = 'restrict_violation';
END $$;
DROP TRIGGER keep_transfers ON transfers;
DROP FUNCTION keep_transfers_v1;
CREATE TRIGGER keep_transfers BEFORE UPDATE OR DELETE ON transfers FOR EACH ROW EXECUTE FUNCTION keep_transfers_v2();
CREATE TRIGGER keep_all_transfers BEFORE TRUNCATE ON transfers FOR EACH STATEMENT EXECUTE FUNCTION keep_transfers_v2();
