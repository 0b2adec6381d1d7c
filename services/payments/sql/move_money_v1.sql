-- After each transfer: the cached balances of accounts with a subject follow the ledger. As the owner, since the app may
-- not touch them. Accounts of a whole studio are hot; their balance is the sum of their transfers.
CREATE FUNCTION move_money_v1() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
    UPDATE ledger_accounts
    SET balance_minor = balance_minor + CASE id WHEN NEW.credit_account THEN NEW.amount_minor ELSE -NEW.amount_minor END
    WHERE tenant_id = NEW.tenant_id AND id IN (NEW.debit_account, NEW.credit_account) AND subject_id IS NOT NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER move_money AFTER INSERT ON transfers FOR EACH ROW EXECUTE FUNCTION move_money_v1();
