-- The instant so many minutes before a class. Whole days mean the same wall time at the location; less is absolute.
CREATE FUNCTION time_before_v1(p_start timestamptz, p_zone text, p_minutes integer) RETURNS timestamptz
LANGUAGE sql STABLE
RETURN CASE
    WHEN p_minutes > 0 AND p_minutes % 1440 = 0
    THEN (p_start AT TIME ZONE p_zone - make_interval(days => p_minutes / 1440)) AT TIME ZONE p_zone
    ELSE p_start - make_interval(mins => p_minutes)
END;
