-- What an idempotency key answered before: its booking as it is now, a refusal of a reused key, or NULLs when it is new.
CREATE FUNCTION replay_v1(
    p_tenant uuid, p_principal text, p_method text, p_key text, p_request_hash bytea,
    OUT code text, OUT booking booking_details
) LANGUAGE plpgsql STABLE AS $$
DECLARE
    v_known idempotency;
BEGIN
    SELECT * INTO v_known FROM idempotency
    WHERE tenant_id = p_tenant AND principal = p_principal AND method = p_method AND key = p_key;
    IF v_known.request_hash <> p_request_hash THEN
        code := 'IDEMPOTENCY_KEY_REUSED';
    ELSIF FOUND THEN
        code := 'BOOKED';
        SELECT * INTO booking FROM booking_details WHERE tenant_id = p_tenant AND id = v_known.resource_id;
    END IF;
END $$;
