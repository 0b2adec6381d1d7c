-- Whether the waiver in force is unsigned by a client. Where there is none nobody must sign.
CREATE FUNCTION must_sign_v1(p_tenant uuid, p_client uuid) RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (
    SELECT FROM (SELECT max(version) AS version FROM waivers WHERE tenant_id = p_tenant) w
    WHERE w.version IS NOT NULL AND NOT EXISTS (
        SELECT FROM waiver_signatures s
        WHERE s.tenant_id = p_tenant AND s.client_id = p_client AND s.waiver_version = w.version)
);
