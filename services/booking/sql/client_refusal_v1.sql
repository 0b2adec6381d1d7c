-- Why a client may not take a place in a session beside those it has, or NULL: one place in a class, and no two classes
-- at once. The caller holds the lock of the client's row.
CREATE FUNCTION client_refusal_v1(s bookable_sessions, p_client uuid) RETURNS text
LANGUAGE sql STABLE
RETURN (
    SELECT CASE
        WHEN bool_or(b.class_session_id = s.id) THEN 'ALREADY_BOOKED'
        WHEN bool_or(b.end_time > s.start_time) THEN 'OVERLAPPING_BOOKING'
    END
    FROM bookings b
    -- No class lasts longer than eight hours.
    WHERE b.tenant_id = s.tenant_id AND b.client_id = p_client
        AND b.start_time < s.end_time AND b.start_time > s.start_time - interval '8 hours'
        AND b.cancel_time IS NULL AND b.guest_display_name = ''
);
