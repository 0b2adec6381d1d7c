-- powerhouse.booking.v1.BookingChanged in proto3 JSON.
CREATE FUNCTION booking_changed_v1(b booking_details) RETURNS jsonb
LANGUAGE sql STABLE
RETURN jsonb_build_object(
    'bookingId', b.id,
    'classSessionId', b.class_session_id,
    'clientId', b.client_id,
    'state', b.state,
    'startTime', to_char(b.start_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'timeVersion', b.time_version::text
);
