-- The ledger is append-only: a mistake is put right by another transfer.
CREATE FUNCTION keep_transfers_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'transfers are immutable' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER keep_transfers BEFORE UPDATE OR DELETE ON transfers FOR EACH ROW EXECUTE FUNCTION keep_transfers_v1();
CREATE TRIGGER keep_all_transfers BEFORE TRUNCATE ON transfers FOR EACH STATEMENT EXECUTE FUNCTION keep_transfers_v1();
