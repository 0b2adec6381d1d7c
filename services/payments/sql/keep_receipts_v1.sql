-- A receipt is for good: a mistake is put right by a credit note.
CREATE FUNCTION keep_receipts_v1() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'receipts are immutable' USING ERRCODE = 'restrict_violation';
END $$;
CREATE TRIGGER keep_receipts BEFORE UPDATE OR DELETE ON receipts FOR EACH ROW EXECUTE FUNCTION keep_receipts_v1();
CREATE TRIGGER keep_all_receipts BEFORE TRUNCATE ON receipts FOR EACH STATEMENT EXECUTE FUNCTION keep_receipts_v1();
