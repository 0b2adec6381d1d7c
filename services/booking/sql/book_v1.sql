-- Books one place in one call: idempotency, permission, place, spot, credit, events and audit entry, in its own transaction.
--
-- Answers `BOOKED` and the booking, or the reason of a refusal, which has written nothing. It sets its tenant itself.
-- p_client NULL is the person behind p_account; p_account NULL is staff, who may book for anyone. p_spot '' is any.
-- Everyone locks in one order: the session, then packages by id. A plan for every call would cost more than the call.
CREATE FUNCTION book_v1(
    p_tenant uuid, p_principal text, p_method text, p_key text, p_request_hash bytea,
    p_booking uuid, p_session uuid, p_client uuid, p_account uuid, p_spot text, p_now timestamptz,
    p_booking_event uuid, p_package_event uuid, p_audit uuid, p_traceparent text,
    OUT code text, OUT booking booking_details
) LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    v_tenants text := format('{%s}', p_tenant);
    v_locked boolean;
    v_client record;
    v_known record;
    v_session bookable_sessions;
    v_free_spots text[];
    v_package uuid;
BEGIN
    IF coalesce(current_setting('app.tenants', true), '') NOT IN ('', v_tenants) THEN
        RAISE EXCEPTION 'this transaction works in another studio' USING ERRCODE = 'insufficient_privilege';
    END IF;
    v_tenants := set_config('app.tenants', v_tenants, true);

    IF p_client IS NULL THEN
        SELECT id, display_name, account_id INTO v_client FROM clients
        WHERE tenant_id = p_tenant AND account_id = p_account AND is_self;
        code := 'CLIENT_REQUIRED';
    ELSE
        SELECT id, display_name, account_id INTO v_client FROM clients
        WHERE tenant_id = p_tenant AND id = p_client AND (p_account IS NULL OR account_id = p_account);
        code := CASE WHEN p_account IS NULL THEN 'CLIENT_NOT_FOUND' ELSE 'PERMISSION_DENIED' END;
    END IF;
    IF NOT FOUND THEN RETURN; END IF;

    LOOP
        -- Who comes too late waits for nobody. When a place comes back in between, it is tried again.
        PERFORM FROM class_sessions
        WHERE tenant_id = p_tenant AND id = p_session AND booked_count < planned_capacity FOR UPDATE;
        v_locked := FOUND;
        SELECT * INTO v_session FROM bookable_sessions WHERE tenant_id = p_tenant AND id = p_session;
        IF NOT FOUND THEN
            code := 'SESSION_NOT_KNOWN_YET';
        ELSIF EXISTS (
            SELECT FROM bookings WHERE tenant_id = p_tenant AND class_session_id = p_session
                AND client_id = v_client.id AND state = 'CONFIRMED'
        ) THEN
            code := 'ALREADY_BOOKED';
        ELSE
            code := refusal_v1(v_session, p_now);
        END IF;
        EXIT WHEN v_locked OR code IS NOT NULL;
    END LOOP;

    IF code IS NULL THEN
        PERFORM FROM client_packages WHERE tenant_id = p_tenant AND client_id = v_client.id ORDER BY id FOR UPDATE;
        v_package := choose_package_v1(p_tenant, v_client.id, v_session.start_time);
        IF v_session.spots <> '{}' THEN
            v_free_spots := free_spots_v1(p_tenant, p_session, v_session.spots);
        END IF;
        code := CASE
            WHEN p_spot <> '' AND p_spot <> ALL (v_session.spots) THEN 'UNKNOWN_SPOT'
            WHEN p_spot <> '' AND p_spot <> ALL (v_free_spots) THEN 'SPOT_TAKEN'
            WHEN v_package IS NULL THEN 'NO_CREDIT'
        END;
    END IF;

    IF code IS NULL THEN
        INSERT INTO idempotency (tenant_id, principal, method, key, request_hash, resource_id)
        VALUES (p_tenant, p_principal, p_method, p_key, p_request_hash, p_booking)
        ON CONFLICT DO NOTHING;
    END IF;
    IF code IS NOT NULL OR NOT FOUND THEN
        -- What refuses may be the booking that this key has made.
        SELECT resource_id, request_hash = p_request_hash AS repeated INTO v_known FROM idempotency
        WHERE tenant_id = p_tenant AND principal = p_principal AND method = p_method AND key = p_key;
        IF v_known.repeated THEN
            code := 'BOOKED';
            SELECT * INTO booking FROM booking_details WHERE tenant_id = p_tenant AND id = v_known.resource_id;
        ELSIF FOUND THEN
            code := 'IDEMPOTENCY_KEY_REUSED';
        END IF;
        RETURN;
    END IF;

    -- As booking_details will show it: all of that has been read.
    booking := (
        p_tenant, p_booking, p_session, v_client.id, v_package, 'CONFIRMED',
        coalesce(nullif(p_spot, ''), v_free_spots[1]), v_session.policy_version, false, 1, p_now, p_now, NULL,
        v_client.display_name, v_client.account_id,
        v_session.class_type_display_name, v_session.start_time, v_session.time_zone, v_session.time_version,
        v_session.cancellation_window_minutes
    );

    UPDATE class_sessions SET booked_count = booked_count + 1 WHERE tenant_id = p_tenant AND id = p_session;

    INSERT INTO bookings (
        tenant_id, id, class_session_id, client_id, client_package_id, state, spot, policy_version,
        credit_returned, session_cancelled, version, create_time, update_time
    ) VALUES (
        p_tenant, p_booking, p_session, v_client.id, v_package, booking.state, booking.spot, booking.policy_version,
        false, false, 1, p_now, p_now
    );

    INSERT INTO transfers (tenant_id, debit_account, credit_account, amount, cause, booking_id, create_time)
    VALUES (p_tenant, v_package, '00000000-0000-0000-0000-000000000002', 1, 'booked', p_booking, p_now);

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
END $$;
