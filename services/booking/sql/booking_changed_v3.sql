-- powerhouse.booking.v1.BookingChanged in proto3 JSON. The package, if one pays, is as it is after the change.
CREATE FUNCTION booking_changed_v3(
    p_booking uuid, p_session uuid, p_client uuid, p_state text, p_start timestamptz, p_time_version bigint,
    p_package uuid, p_credits_left integer, p_package_version integer,
    p_zone text, p_class_type uuid, p_now timestamptz, p_promoted boolean, p_guest boolean
) RETURNS jsonb
LANGUAGE sql STABLE
RETURN jsonb_build_object(
    'bookingId', p_booking,
    'classSessionId', p_session,
    'clientId', p_client,
    'state', p_state,
    'startTime', to_char(p_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'timeVersion', p_time_version::text,
    'clientPackage', CASE WHEN p_package IS NOT NULL THEN jsonb_build_object(
        'clientPackageId', p_package, 'clientId', p_client, 'creditsLeft', p_credits_left,
        'version', p_package_version::text
    ) END,
    'timeZone', p_zone,
    'classTypeId', p_class_type,
    'changeTime', to_char(p_now AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'promoted', p_promoted,
    'guest', p_guest
);
