-- The package that pays for a class: one that is good for its type, the soonest to expire, then the oldest. None when
-- none has a credit for it. A package that starts with its first use expires counted from that class.
CREATE FUNCTION choose_package_v2(p_tenant uuid, p_client uuid, p_class_type uuid, p_class_start timestamptz)
RETURNS SETOF client_packages
LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT * FROM client_packages
    WHERE tenant_id = p_tenant AND client_id = p_client AND credits_left > 0 AND revoke_time IS NULL
        AND (expire_time IS NULL OR expire_time > p_class_start)
        AND (class_type_ids = '{}' OR p_class_type = ANY (class_type_ids))
    ORDER BY expire_time NULLS LAST, create_time, id
    LIMIT 1;
END;
