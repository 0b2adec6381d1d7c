-- After each transfer: the cached balances follow the ledger. As the owner, since the app may not touch them.
--
-- The accounts below 100 (credits.ISSUED and so on) are hot in a studio and have no cached balance; any other is a
-- client_package or a credit_hold. A package that starts with its first use gets its end from the class that it pays
-- first, and loses it again when all that was used came back.
CREATE FUNCTION move_credits_v2() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    v_uncached CONSTANT uuid := '00000000-0000-0000-0000-0000000000ff';
BEGIN
    IF NEW.debit_account > v_uncached THEN
        UPDATE client_packages
        SET credits_left = credits_left - NEW.amount, version = version + 1, update_time = NEW.create_time,
            expire_time = CASE
                WHEN first_use_days > 0 AND expire_time IS NULL AND NEW.booking_id IS NOT NULL THEN (
                    SELECT b.start_time + make_interval(days => first_use_days) FROM bookings b
                    WHERE b.tenant_id = NEW.tenant_id AND b.id = NEW.booking_id
                )
                ELSE expire_time
            END
        WHERE tenant_id = NEW.tenant_id AND id = NEW.debit_account;
        IF NOT FOUND THEN
            UPDATE credit_holds SET credits = credits - NEW.amount
            WHERE tenant_id = NEW.tenant_id AND id = NEW.debit_account;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'no account %', NEW.debit_account USING ERRCODE = 'foreign_key_violation';
            END IF;
            -- Paid from what was set aside, it is the package's use all the same.
            UPDATE client_packages p
            SET expire_time = b.start_time + make_interval(days => p.first_use_days),
                version = p.version + 1, update_time = NEW.create_time
            FROM credit_holds h, bookings b
            WHERE h.tenant_id = NEW.tenant_id AND h.id = NEW.debit_account
                AND b.tenant_id = NEW.tenant_id AND b.id = NEW.booking_id
                AND p.tenant_id = NEW.tenant_id AND p.id = h.client_package_id
                AND p.first_use_days > 0 AND p.expire_time IS NULL;
        END IF;
    END IF;
    IF NEW.credit_account > v_uncached THEN
        UPDATE client_packages
        SET credits_left = credits_left + NEW.amount, version = version + 1, update_time = NEW.create_time,
            expire_time = CASE
                WHEN first_use_days > 0 AND credits_left + NEW.amount >= credits_granted THEN NULL
                ELSE expire_time
            END
        WHERE tenant_id = NEW.tenant_id AND id = NEW.credit_account;
        IF NOT FOUND THEN
            UPDATE credit_holds SET credits = credits + NEW.amount
            WHERE tenant_id = NEW.tenant_id AND id = NEW.credit_account;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'no account %', NEW.credit_account USING ERRCODE = 'foreign_key_violation';
            END IF;
        END IF;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER move_credits AFTER INSERT ON transfers FOR EACH ROW EXECUTE FUNCTION move_credits_v2();
DROP FUNCTION move_credits_v1;
