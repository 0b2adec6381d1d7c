-- The spots of a room that no booking of the session holds, in the order of the layout.
CREATE FUNCTION free_spots_v2(p_tenant uuid, p_session uuid, p_spots text[]) RETURNS text[]
LANGUAGE sql STABLE
RETURN ARRAY(
    SELECT layout.spot
    FROM unnest(p_spots) WITH ORDINALITY AS layout (spot, place)
    WHERE NOT EXISTS (
        SELECT FROM bookings b
        WHERE b.tenant_id = p_tenant AND b.class_session_id = p_session
            AND b.cancel_time IS NULL AND b.spot = layout.spot
    )
    ORDER BY layout.place
);
