-- The yardstick: the plainest booking that is correct, on tables of the same shape beside ours.
--
-- It never sells a place or a credit twice, never books a client twice in a session, books a repeated request once,
-- writes down where each credit went, and commits its event with it. It does nothing else: no row level security, spots,
-- policies, booking windows, caps, overlaps, waitlist or audit; it has nothing to answer, and a repeat is an error.
CREATE SCHEMA reference;

CREATE TABLE reference.class_sessions (LIKE public.class_sessions INCLUDING ALL);
CREATE TABLE reference.clients (LIKE public.clients INCLUDING ALL);
CREATE TABLE reference.client_packages (
    LIKE public.client_packages INCLUDING ALL,
    FOREIGN KEY (tenant_id, client_id) REFERENCES reference.clients
);
CREATE TABLE reference.bookings (
    LIKE public.bookings INCLUDING ALL,
    FOREIGN KEY (tenant_id, client_id) REFERENCES reference.clients,
    FOREIGN KEY (tenant_id, client_package_id) REFERENCES reference.client_packages
);
CREATE TABLE reference.transfers (
    LIKE public.transfers INCLUDING ALL,
    FOREIGN KEY (tenant_id, booking_id) REFERENCES reference.bookings
);
CREATE TABLE reference.outbox (LIKE public.outbox INCLUDING ALL);

INSERT INTO reference.class_sessions SELECT * FROM public.class_sessions;
INSERT INTO reference.clients SELECT * FROM public.clients;
INSERT INTO reference.client_packages SELECT * FROM public.client_packages;

CREATE FUNCTION reference.book(
    p_tenant uuid, p_request uuid, p_booking uuid, p_session uuid, p_client uuid, p_now timestamptz,
    p_event uuid
) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    v_package uuid;
    v_start timestamptz;
    v_end timestamptz;
BEGIN
    UPDATE reference.class_sessions SET booked_count = booked_count + 1
    WHERE tenant_id = p_tenant AND id = p_session
        AND booked_count < planned_capacity AND NOT cancelled AND start_time > p_now
    RETURNING start_time, end_time INTO v_start, v_end;
    IF NOT FOUND THEN RAISE EXCEPTION 'not to be booked'; END IF;

    SELECT id INTO v_package FROM reference.client_packages
    WHERE tenant_id = p_tenant AND client_id = p_client AND credits_left > 0
    ORDER BY expire_time NULLS LAST, id LIMIT 1 FOR UPDATE;
    IF NOT FOUND THEN RAISE EXCEPTION 'no credit'; END IF;
    UPDATE reference.client_packages SET credits_left = credits_left - 1 WHERE tenant_id = p_tenant AND id = v_package;

    INSERT INTO reference.bookings (
        tenant_id, id, class_session_id, client_id, client_package_id, state, policy_version, start_time, end_time,
        credit_returned, session_cancelled, version, create_time, update_time, request_id
    ) VALUES (
        p_tenant, p_booking, p_session, p_client, v_package, 'CONFIRMED', 1, v_start, v_end,
        false, false, 1, p_now, p_now, p_request
    );
    INSERT INTO reference.transfers (tenant_id, debit_account, credit_account, amount, cause, booking_id, create_time)
    VALUES (p_tenant, v_package, '00000000-0000-0000-0000-000000000002', 1, 'booked', p_booking, p_now);
    INSERT INTO reference.outbox (event_id, tenant_id, type, aggregate, aggregate_id, version, payload)
    VALUES (
        p_event, p_tenant, 'BookingChanged', 'booking', p_booking, 1,
        jsonb_build_object('booking', p_booking, 'session', p_session, 'client', p_client, 'state', 'CONFIRMED')
    );
END $$;
