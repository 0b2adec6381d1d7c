-- Which of the studio's caps a further booking of the client would break, or NULL. 0 is no cap. A day is the location's.
CREATE FUNCTION caps_refusal_v1(s bookable_sessions, p_client uuid, p_now timestamptz) RETURNS text
LANGUAGE sql STABLE
RETURN (
    SELECT CASE
        WHEN count(*) FILTER (WHERE b.start_time > p_now) >= nullif(s.max_upcoming_bookings, 0)
        THEN 'TOO_MANY_BOOKINGS'
        WHEN count(*) FILTER (
            WHERE (b.start_time AT TIME ZONE s.time_zone)::date = (s.start_time AT TIME ZONE s.time_zone)::date
        ) >= nullif(s.max_daily_bookings, 0)
        THEN 'TOO_MANY_BOOKINGS_THAT_DAY'
    END
    FROM bookings b
    WHERE b.tenant_id = s.tenant_id AND b.client_id = p_client
        AND b.start_time > least(p_now, s.start_time - interval '1 day')
        AND b.cancel_time IS NULL
);
