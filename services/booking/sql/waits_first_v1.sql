-- Whether somebody on the waitlist has the first claim on a free place: who waits and has not been passed over.
CREATE FUNCTION waits_first_v1(p_tenant uuid, p_session uuid) RETURNS boolean
LANGUAGE sql STABLE
RETURN EXISTS (
    SELECT FROM waitlist_entries e
    WHERE e.tenant_id = p_tenant AND e.class_session_id = p_session AND e.state = 'WAITING' AND e.passed_over = ''
);
