-- Books one place in one call: idempotency, permission, place, spot, credit, events and audit entry, in its own transaction.
--
-- Answers `BOOKED` and the booking, or the reason of a refusal, which has written nothing. It sets its tenant itself.
-- p_client NULL is the person behind p_account; p_account NULL is staff, who may book for anyone. p_spot '' is any.
-- Everyone locks in one order: the session, then packages by id.
CREATE FUNCTION book_v1(
    p_tenant uuid, p_principal text, p_method text, p_key text, p_request_hash bytea,
    p_booking uuid, p_session uuid, p_client uuid, p_account uuid, p_spot text, p_now timestamptz,
    p_booking_event uuid, p_package_event uuid, p_audit uuid, p_traceparent text,
    OUT code text, OUT booking booking_details
) LANGUAGE plpgsql AS $$
DECLARE
    v_tenants CONSTANT text := format('{%s}', p_tenant);
    v_locked boolean;
    v_client uuid;
    v_known record;
    v_session bookable_sessions;
    v_free_spots text[];
    v_package uuid;
    v_constraint text;
BEGIN
    IF coalesce(current_setting('app.tenants', true), '') NOT IN ('', v_tenants) THEN
        RAISE EXCEPTION 'this transaction works in another studio' USING ERRCODE = 'insufficient_privilege';
    END IF;
    PERFORM set_config('app.tenants', v_tenants, true);

    IF p_client IS NULL THEN
        SELECT id INTO v_client FROM clients WHERE tenant_id = p_tenant AND account_id = p_account AND is_self;
        code := 'CLIENT_REQUIRED';
    ELSE
        SELECT id INTO v_client FROM clients
        WHERE tenant_id = p_tenant AND id = p_client AND (p_account IS NULL OR account_id = p_account);
        code := CASE WHEN p_account IS NULL THEN 'CLIENT_NOT_FOUND' ELSE 'PERMISSION_DENIED' END;
    END IF;
    IF v_client IS NULL THEN RETURN; END IF;

    -- Decided twice: first without locks, so that who comes too late pays for neither lock nor write; then under them.
    FOREACH v_locked IN ARRAY ARRAY[false, true] LOOP
        IF v_locked THEN
            PERFORM FROM class_sessions WHERE tenant_id = p_tenant AND id = p_session FOR UPDATE;
        END IF;
        SELECT * INTO v_session FROM bookable_sessions WHERE tenant_id = p_tenant AND id = p_session;
        IF NOT FOUND THEN
            code := 'SESSION_NOT_KNOWN_YET';
        ELSIF EXISTS (
            SELECT FROM bookings
            WHERE tenant_id = p_tenant AND class_session_id = p_session AND client_id = v_client AND state = 'CONFIRMED'
        ) THEN
            code := 'ALREADY_BOOKED';
        ELSE
            code := refusal_v1(v_session, p_now);
        END IF;
        IF code IS NULL THEN
            IF v_locked THEN
                PERFORM FROM client_packages WHERE tenant_id = p_tenant AND client_id = v_client ORDER BY id FOR UPDATE;
            END IF;
            v_package := choose_package_v1(p_tenant, v_client, v_session.start_time);
            v_free_spots := free_spots_v1(p_tenant, p_session, v_session.spots);
            code := CASE
                WHEN p_spot <> '' AND p_spot <> ALL (v_session.spots) THEN 'UNKNOWN_SPOT'
                WHEN p_spot <> '' AND p_spot <> ALL (v_free_spots) THEN 'SPOT_TAKEN'
                WHEN v_package IS NULL THEN 'NO_CREDIT'
            END;
        END IF;

        -- After the look and not before: what refuses may be the booking that this key has just made.
        SELECT resource_id, request_hash = p_request_hash AS repeated INTO v_known FROM idempotency
        WHERE tenant_id = p_tenant AND principal = p_principal AND method = p_method AND key = p_key;
        IF v_known.repeated THEN
            code := 'BOOKED';
            SELECT * INTO booking FROM booking_details WHERE tenant_id = p_tenant AND id = v_known.resource_id;
        ELSIF FOUND THEN
            code := 'IDEMPOTENCY_KEY_REUSED';
        END IF;
        IF code IS NOT NULL THEN RETURN; END IF;
    END LOOP;

    INSERT INTO idempotency (tenant_id, principal, method, key, request_hash, resource_id)
    VALUES (p_tenant, p_principal, p_method, p_key, p_request_hash, p_booking);

    UPDATE class_sessions SET booked_count = booked_count + 1 WHERE tenant_id = p_tenant AND id = p_session;

    INSERT INTO bookings (
        tenant_id, id, class_session_id, client_id, client_package_id, state, spot, policy_version,
        credit_returned, session_cancelled, version, create_time, update_time
    ) VALUES (
        p_tenant, p_booking, p_session, v_client, v_package, 'CONFIRMED', coalesce(nullif(p_spot, ''), v_free_spots[1]),
        v_session.policy_version, false, false, 1, p_now, p_now
    );

    INSERT INTO transfers (tenant_id, debit_account, credit_account, amount, cause, booking_id, create_time)
    VALUES (p_tenant, v_package, '00000000-0000-0000-0000-000000000002', 1, 'booked', p_booking, p_now);

    SELECT * INTO booking FROM booking_details WHERE tenant_id = p_tenant AND id = p_booking;
    INSERT INTO outbox (event_id, tenant_id, type, aggregate, aggregate_id, version, payload, traceparent)
    SELECT p_booking_event, p_tenant, 'powerhouse.booking.v1.BookingChanged', 'booking', p_booking, 1,
        booking_changed_v1(booking), p_traceparent
    UNION ALL
    SELECT p_package_event, p_tenant, 'powerhouse.booking.v1.ClientPackageChanged', 'client_package', p.id, p.version,
        client_package_changed_v1(p), p_traceparent
    FROM client_packages p WHERE p.tenant_id = p_tenant AND p.id = v_package;

    INSERT INTO audit_entries (tenant_id, id, principal, method, resource, create_time)
    VALUES (
        p_tenant, p_audit, p_principal, split_part(p_method, '/', 3),
        format('studios/%s/bookings/%s', p_tenant, p_booking), clock_timestamp()
    );
    code := 'BOOKED';
EXCEPTION WHEN unique_violation THEN
    -- The indexes have the last word: a key used for two sessions at once, a client or a spot booked twice.
    -- Around the whole function: a row locked outside a subtransaction and written inside costs a multixact.
    GET STACKED DIAGNOSTICS v_constraint = CONSTRAINT_NAME;
    booking := NULL;
    code := CASE v_constraint
        WHEN 'idempotency_pkey' THEN 'IDEMPOTENCY_KEY_REUSED'
        WHEN 'uq_bookings_active_client' THEN 'ALREADY_BOOKED'
        WHEN 'uq_bookings_active_spot' THEN 'SPOT_TAKEN'
    END;
    IF code IS NULL THEN RAISE; END IF;
END $$;
