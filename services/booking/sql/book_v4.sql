-- Books places, any number of requests in one call: idempotency, permission, rules, place, spot, credit, event and audit
-- entry of each, in one transaction. Element i of every array is request i; p_now is business time.
--
-- Answers a row for each request in their order: `BOOKED` and the booking, or the reason of a refusal, which has written
-- nothing. A client NULL is the person behind the account; an account NULL is staff, who may book for anyone. A spot ''
-- is any. A guest '' is the client itself. A drop-in takes no credit and holds its place until it is paid. An override
-- is a reason of staff: it lets pass what the hour, the caps, the waiver, the waitlist and the client's other classes
-- say, never the number of places. A request id is the digest of principal and key; the booking keeps it, with a digest of what was
-- asked, and answers when it comes again. `AGAIN` means that something else was in the way at this moment: ask once more.
--
-- It sets its tenants itself. Everyone locks in one order: sessions by id, then clients by id; a client's lock also
-- covers its packages and waits. The caller sorts requests by session and keeps two of one client, key or named spot
-- apart. A plan for every call would cost more than the call.
CREATE FUNCTION book_v4(
    p_tenants uuid[], p_principals text[], p_method text, p_requests uuid[], p_hashes uuid[],
    p_bookings uuid[], p_sessions uuid[], p_clients uuid[], p_accounts uuid[], p_spots text[], p_guests text[],
    p_drop_ins boolean[], p_overrides text[], p_now timestamptz,
    p_events uuid[], p_audits uuid[], p_traceparents text[]
) RETURNS TABLE (code text, booking booking_details)
LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $$
#variable_conflict use_column
DECLARE
    v_tenants text := format('{%s}', p_tenants[1]);
    v_clients uuid[] := p_clients;
    v_many CONSTANT boolean := cardinality(p_tenants) > 1;
    v_locked uuid[] := '{}';
    -- What is known of one request.
    v record;
    v_session uuid;
    -- Places and spots of v_session that earlier requests of this call have taken.
    v_places integer;
    v_taken text[];
    v_spot text;
    -- What is written at the end; NULL where a request is refused.
    v_made booking_details[];
    v_told jsonb[];
BEGIN
    IF v_many THEN
        v_tenants := ARRAY(SELECT DISTINCT unnest(p_tenants))::text;
        -- Many do not wait for one who is stuck: they fail together, and go again one by one.
        PERFORM set_config('lock_timeout', '250ms', true);
    END IF;
    IF coalesce(current_setting('app.tenants', true), '') NOT IN ('', v_tenants) THEN
        RAISE EXCEPTION 'this transaction works in another studio' USING ERRCODE = 'insufficient_privilege';
    END IF;
    v_tenants := set_config('app.tenants', v_tenants, true);
    IF array_position(p_clients, NULL) IS NOT NULL THEN
        v_clients := ARRAY(
            SELECT coalesce(w.client_id, c.id)
            FROM unnest(p_tenants, p_clients, p_accounts) WITH ORDINALITY AS w (tenant_id, client_id, account_id, n)
            LEFT JOIN clients c
                ON w.client_id IS NULL AND c.tenant_id = w.tenant_id AND c.account_id = w.account_id AND c.is_self
            ORDER BY w.n
        );
    END IF;
    IF v_many THEN
        IF (SELECT count(DISTINCT id) < count(id) FROM unnest(v_clients) AS w (id)) THEN
            RAISE EXCEPTION 'two requests of one client' USING ERRCODE = 'cardinality_violation';
        END IF;
    END IF;

    -- Who comes too late waits for nobody.
    IF v_many THEN
        FOR i IN 1 .. cardinality(p_sessions) LOOP
            IF p_sessions[i] IS DISTINCT FROM p_sessions[i - 1] THEN
                PERFORM FROM class_sessions
                WHERE tenant_id = p_tenants[i] AND id = p_sessions[i] AND booked_count < planned_capacity
                FOR NO KEY UPDATE;
                IF FOUND THEN
                    v_locked := v_locked || p_sessions[i];
                END IF;
            END IF;
        END LOOP;
        IF v_locked <> '{}' THEN
            PERFORM FROM unnest(p_tenants, v_clients) AS w (tenant_id, id)
            JOIN clients c ON c.tenant_id = w.tenant_id AND c.id = w.id
            ORDER BY c.id FOR NO KEY UPDATE OF c;
        END IF;
    ELSE
        PERFORM FROM class_sessions s
        JOIN clients c ON c.tenant_id = s.tenant_id AND c.id = v_clients[1]
        WHERE s.tenant_id = p_tenants[1] AND s.id = p_sessions[1] AND s.booked_count < s.planned_capacity
        FOR NO KEY UPDATE OF s, c;
        IF FOUND THEN
            v_locked := p_sessions;
        END IF;
    END IF;

    FOR i IN 1 .. cardinality(p_tenants) LOOP
        IF v_session IS DISTINCT FROM p_sessions[i] THEN
            v_session := p_sessions[i];
            v_places := 0;
            v_taken := '{}';
            IF v_many THEN
                -- Of one studio alone: the list is read again for each row that is looked at.
                PERFORM set_config('app.tenants', format('{%s}', p_tenants[i]), true);
            END IF;
        END IF;
        SELECT c.id AS client_id, c.display_name, c.account_id, c.archive_time, k.id AS known_id, k.request_hash,
            s.id AS session_id, s.cancelled, s.planned_capacity - s.booked_count AS places, s.spots,
            s.class_type_id, s.class_type_display_name, s.start_time, s.end_time, s.time_zone, s.time_version,
            s.currency_code, s.policy_version, s.cancellation_window_minutes, s.late_cancel_fee_minor, s.no_show_fee_minor,
            s.max_upcoming_bookings + s.max_daily_bookings > 0 AS capped, s.max_guests,
            s.drop_in_price_minor, s.drop_in_hold_minutes, s.waiver_required,
            refusal_v2(s, p_now) AS refusal,
            client_refusal_v1(s, c.id) AS client_refusal,
            waits_first_v1(s.tenant_id, s.id) AS waits_first,
            p.id AS package_id, p.credits_left, p.version AS package_version
        INTO v
        FROM (SELECT) AS request
        LEFT JOIN bookable_sessions s ON s.tenant_id = p_tenants[i] AND s.id = p_sessions[i]
        LEFT JOIN clients c ON c.tenant_id = p_tenants[i] AND c.id = v_clients[i]
        LEFT JOIN bookings k ON k.tenant_id = p_tenants[i] AND k.request_id = p_requests[i]
        LEFT JOIN LATERAL choose_package_v2(p_tenants[i], c.id, s.class_type_id, s.start_time) p ON true;

        booking := NULL;
        v_spot := NULL;
        code := CASE
            WHEN v.client_id IS NULL AND p_accounts[i] IS NULL THEN 'CLIENT_NOT_FOUND'
            WHEN v.client_id IS NULL AND p_clients[i] IS NULL THEN 'CLIENT_REQUIRED'
            WHEN v.client_id IS NULL OR p_accounts[i] <> v.account_id OR p_accounts[i] IS NOT NULL AND v.account_id IS NULL
            THEN 'PERMISSION_DENIED'
            WHEN v.request_hash = p_hashes[i] THEN 'REPEATED'
            WHEN v.request_hash IS NOT NULL THEN 'IDEMPOTENCY_KEY_REUSED'
            WHEN v.archive_time IS NOT NULL THEN 'CLIENT_ARCHIVED'
            WHEN v.session_id IS NULL THEN 'SESSION_NOT_KNOWN_YET'
            WHEN p_guests[i] = '' AND v.client_refusal = 'ALREADY_BOOKED' THEN 'ALREADY_BOOKED'
            WHEN p_overrides[i] <> '' AND v.cancelled THEN 'SESSION_CANCELLED'
            WHEN p_overrides[i] <> '' AND p_now >= v.end_time THEN 'SESSION_OVER'
            WHEN p_overrides[i] = '' AND v.refusal IS NOT NULL THEN v.refusal
            WHEN p_overrides[i] = '' AND p_guests[i] = '' AND v.client_refusal IS NOT NULL THEN v.client_refusal
            WHEN p_overrides[i] = '' AND v.waits_first THEN 'WAITLIST_FIRST'
            WHEN v_places >= v.places THEN 'SESSION_FULL'
            -- A place came back after the locks were taken.
            WHEN v.session_id <> ALL (v_locked) THEN 'AGAIN'
            WHEN p_drop_ins[i] AND v.drop_in_price_minor = 0 THEN 'DROP_IN_NOT_OFFERED'
            WHEN v.package_id IS NULL AND NOT p_drop_ins[i] THEN 'NO_CREDIT'
        END;
        IF code IS NULL AND v.capped AND p_overrides[i] = '' THEN
            code := caps_refusal_v1(s, v.client_id, p_now) FROM bookable_sessions s
            WHERE s.tenant_id = p_tenants[i] AND s.id = v_session;
        END IF;
        IF code IS NULL AND v.waiver_required AND p_overrides[i] = '' AND must_sign_v1(p_tenants[i], v.client_id) THEN
            code := 'WAIVER_NOT_SIGNED';
        END IF;
        IF code IS NULL AND p_guests[i] <> '' THEN
            code := CASE
                WHEN bool_or(b.guest_display_name = p_guests[i]) THEN 'GUEST_ALREADY_BOOKED'
                WHEN count(*) >= v.max_guests THEN 'TOO_MANY_GUESTS'
            END
            FROM bookings b
            WHERE b.tenant_id = p_tenants[i] AND b.class_session_id = v_session AND b.client_id = v.client_id
                AND b.cancel_time IS NULL AND b.guest_display_name <> '';
        END IF;
        IF code IS NULL AND (p_spots[i] <> '' OR v.spots <> '{}') THEN
            v_spot := free.spot
            FROM unnest(free_spots_v2(p_tenants[i], v_session, v.spots)) WITH ORDINALITY AS free (spot, place)
            WHERE free.spot <> ALL (v_taken) AND p_spots[i] IN ('', free.spot)
            ORDER BY free.place LIMIT 1;
            IF v_spot IS NULL THEN
                code := CASE
                    WHEN p_spots[i] = '' THEN 'AGAIN'
                    WHEN p_spots[i] = ANY (v.spots) THEN 'SPOT_TAKEN'
                    ELSE 'UNKNOWN_SPOT'
                END;
            END IF;
        END IF;

        IF code = 'REPEATED' THEN
            SELECT * INTO booking FROM booking_details d WHERE d.tenant_id = p_tenants[i] AND d.id = v.known_id;
            code := 'BOOKED';
        ELSIF code IS NULL THEN
            code := 'BOOKED';
            v_places := v_places + 1;
            v_taken := v_taken || v_spot;
            IF p_drop_ins[i] THEN
                v.package_id := NULL;
            END IF;
            -- As booking_details will show it: all of that has been read.
            booking := (
                p_tenants[i], p_bookings[i], v_session, v.client_id, v.package_id,
                CASE WHEN p_drop_ins[i] THEN 'PENDING_PAYMENT' ELSE 'CONFIRMED' END, v_spot, p_guests[i],
                v.policy_version, false, false,
                CASE WHEN p_drop_ins[i] THEN p_now + make_interval(mins => v.drop_in_hold_minutes) END,
                NULL, NULL, NULL, 1, p_now, p_now,
                v.display_name, v.account_id, v.class_type_display_name, v.start_time, v.end_time, v.time_zone,
                v.time_version, v.currency_code,
                v.cancellation_window_minutes, v.late_cancel_fee_minor, v.no_show_fee_minor
            )::booking_details;
            v_made[i] := booking;
            v_told[i] := booking_changed_v3(
                p_bookings[i], v_session, v.client_id, booking.state, v.start_time, v.time_version,
                v.package_id, v.credits_left - 1, v.package_version + 1,
                v.time_zone, v.class_type_id, p_now, false, p_guests[i] <> ''
            );
        END IF;
        RETURN NEXT;
        IF v_places > 0 AND v_session IS DISTINCT FROM p_sessions[i + 1] THEN
            UPDATE class_sessions SET booked_count = booked_count + v_places
            WHERE tenant_id = p_tenants[i] AND id = v_session;
        END IF;
    END LOOP;

    IF v_made IS NOT NULL THEN
        IF v_many THEN
            PERFORM set_config('app.tenants', v_tenants, true);
        END IF;
        WITH made AS MATERIALIZED (
            -- An array that begins with what was booked first begins with its number.
            SELECT *, array_lower(v_made, 1) - 1 + ordinality AS n
            FROM unnest(v_made) WITH ORDINALITY WHERE id IS NOT NULL
        ), booked AS (
            INSERT INTO bookings (
                tenant_id, id, class_session_id, client_id, client_package_id, state, spot, guest_display_name,
                policy_version, credit_returned, session_cancelled, hold_expire_time, version, create_time, update_time,
                start_time, end_time, request_id, request_hash
            )
            SELECT tenant_id, id, class_session_id, client_id, client_package_id, state, spot, guest_display_name,
                policy_version, credit_returned, session_cancelled, hold_expire_time, version, create_time, update_time,
                start_time, end_time, p_requests[n], p_hashes[n]
            FROM made
        ), paid AS (
            INSERT INTO transfers (tenant_id, debit_account, credit_account, amount, cause, booking_id, create_time)
            SELECT tenant_id, client_package_id, '00000000-0000-0000-0000-000000000002', 1, 'booked', id, create_time
            FROM made WHERE client_package_id IS NOT NULL
        ), told AS (
            INSERT INTO outbox (event_id, tenant_id, type, aggregate, aggregate_id, version, payload, traceparent)
            SELECT p_events[n], tenant_id, 'powerhouse.booking.v1.BookingChanged', 'booking', id, version, v_told[n],
                p_traceparents[n]
            FROM made
        )
        INSERT INTO audit_entries (tenant_id, id, principal, method, resource, changes, create_time)
        SELECT tenant_id, p_audits[n], p_principals[n], split_part(p_method, '/', 3),
            format('studios/%s/bookings/%s', tenant_id, id),
            CASE
                WHEN p_overrides[n] = '' THEN '{}'
                ELSE jsonb_build_object('override', jsonb_build_array('', p_overrides[n]))
            END,
            clock_timestamp()
        FROM made;
    END IF;
END $$;
