-- powerhouse.booking.v1.WaitlistEntryChanged in proto3 JSON.
CREATE FUNCTION waitlist_entry_changed_v1(e waitlist_entries) RETURNS jsonb
LANGUAGE sql STABLE
RETURN jsonb_build_object(
    'waitlistEntryId', e.id,
    'classSessionId', e.class_session_id,
    'clientId', e.client_id,
    'state', e.state,
    'reason', e.reason,
    'displaced', e.displaced,
    'offerExpireTime', to_char(e.offer_expire_time AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
    'bookingId', coalesce(e.booking_id::text, ''),
    'version', e.version::text
);
