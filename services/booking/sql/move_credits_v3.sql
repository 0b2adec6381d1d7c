-- After each transfer: the cached balances follow the ledger. As the owner, since the app may not touch them.
--
-- The accounts below 100 (ledger.ISSUED and so on) are hot in a studio and have no cached balance; any other is a
-- client_package or a credit_hold. A package that starts with its first use gets its end from the class that it pays
-- first, directly or through a hold, and loses it again when no booking has a credit of it. The booking is written before
-- its credit moves.
--
-- It names tables and types with their schema, so nothing stands in for them; for functions and operators nothing could: the
-- app creates no objects. A search_path of its own would say that again, at 2 % of a booking.
CREATE FUNCTION move_credits_v3() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$
DECLARE
    v_uncached CONSTANT pg_catalog.uuid := '00000000-0000-0000-0000-0000000000ff';
    -- Whether an end may follow from this transfer: known of packages, to be looked up of holds.
    v_starts boolean := false;
BEGIN
    IF NEW.debit_account > v_uncached THEN
        UPDATE public.client_packages
        SET credits_left = credits_left - NEW.amount, version = version + 1, update_time = NEW.create_time
        WHERE tenant_id = NEW.tenant_id AND id = NEW.debit_account
        RETURNING first_use_days > 0 INTO v_starts;
        IF NOT FOUND THEN
            UPDATE public.credit_holds SET credits = credits - NEW.amount
            WHERE tenant_id = NEW.tenant_id AND id = NEW.debit_account
            RETURNING true INTO v_starts;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'no account %', NEW.debit_account USING ERRCODE = 'foreign_key_violation';
            END IF;
        END IF;
    END IF;
    IF NEW.credit_account > v_uncached THEN
        UPDATE public.client_packages
        SET credits_left = credits_left + NEW.amount, version = version + 1, update_time = NEW.create_time
        WHERE tenant_id = NEW.tenant_id AND id = NEW.credit_account
        RETURNING first_use_days > 0 INTO v_starts;
        IF NOT FOUND THEN
            UPDATE public.credit_holds SET credits = credits + NEW.amount
            WHERE tenant_id = NEW.tenant_id AND id = NEW.credit_account
            RETURNING true INTO v_starts;
            IF NOT FOUND THEN
                RAISE EXCEPTION 'no account %', NEW.credit_account USING ERRCODE = 'foreign_key_violation';
            END IF;
        END IF;
    END IF;
    IF v_starts AND NEW.booking_id IS NOT NULL THEN
        UPDATE public.client_packages p
        SET expire_time = CASE
            WHEN NOT b.credit_returned THEN coalesce(
                p.expire_time,
                -- The end of the last day; as credits.day_end.
                ((b.start_time AT TIME ZONE p.time_zone)::pg_catalog.date + p.first_use_days + 1)::timestamp
                    AT TIME ZONE p.time_zone
            )
            WHEN EXISTS (
                SELECT FROM public.bookings o
                WHERE o.tenant_id = p.tenant_id AND o.client_id = p.client_id AND o.client_package_id = p.id
                    AND NOT o.credit_returned
            ) THEN p.expire_time
        END
        FROM public.bookings b
        WHERE b.tenant_id = NEW.tenant_id AND b.id = NEW.booking_id
            AND p.tenant_id = b.tenant_id AND p.id = b.client_package_id AND p.first_use_days > 0;
    END IF;
    RETURN NULL;
END $$;
CREATE OR REPLACE TRIGGER move_credits AFTER INSERT ON transfers FOR EACH ROW EXECUTE FUNCTION move_credits_v3();
DROP FUNCTION move_credits_v2;
