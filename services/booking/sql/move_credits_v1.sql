-- After each transfer: the cached balances follow the ledger. As the owner, since the app may not touch them.
CREATE FUNCTION move_credits_v1() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    -- credits.ISSUED and credits.REDEEMED: hot accounts of a studio, so without a cached balance.
    v_uncached CONSTANT uuid[] := '{00000000-0000-0000-0000-000000000001,00000000-0000-0000-0000-000000000002}';
BEGIN
    IF NEW.debit_account <> ALL (v_uncached) THEN
        UPDATE client_packages
        SET credits_left = credits_left - NEW.amount, version = version + 1, update_time = NEW.create_time
        WHERE tenant_id = NEW.tenant_id AND id = NEW.debit_account;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no account %', NEW.debit_account USING ERRCODE = 'foreign_key_violation';
        END IF;
    END IF;
    IF NEW.credit_account <> ALL (v_uncached) THEN
        UPDATE client_packages
        SET credits_left = credits_left + NEW.amount, version = version + 1, update_time = NEW.create_time
        WHERE tenant_id = NEW.tenant_id AND id = NEW.credit_account;
        IF NOT FOUND THEN
            RAISE EXCEPTION 'no account %', NEW.credit_account USING ERRCODE = 'foreign_key_violation';
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER move_credits AFTER INSERT ON transfers FOR EACH ROW EXECUTE FUNCTION move_credits_v1();
