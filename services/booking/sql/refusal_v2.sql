-- Why nobody can book a session at p_now, or NULL when somebody can. Staff may override what depends on the hour.
CREATE FUNCTION refusal_v2(s bookable_sessions, p_now timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE
RETURN CASE
    WHEN s.cancelled THEN 'SESSION_CANCELLED'
    WHEN p_now >= s.start_time THEN 'SESSION_STARTED'
    WHEN p_now < s.opens_time THEN 'BOOKING_NOT_OPEN'
    WHEN p_now >= s.closes_time THEN 'BOOKING_CLOSED'
    WHEN s.booked_count >= s.planned_capacity THEN 'SESSION_FULL'
END;
