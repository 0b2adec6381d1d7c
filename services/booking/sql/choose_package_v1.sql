-- The package that pays for a class: the soonest to expire, then the oldest; NULL when none has a credit for it.
CREATE FUNCTION choose_package_v1(p_tenant uuid, p_client uuid, p_class_start timestamptz) RETURNS uuid
LANGUAGE sql STABLE
RETURN (
    SELECT id FROM client_packages
    WHERE tenant_id = p_tenant AND client_id = p_client AND credits_left > 0
        AND (expire_time IS NULL OR expire_time > p_class_start)
    ORDER BY expire_time NULLS LAST, create_time, id
    LIMIT 1
);
