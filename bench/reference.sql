-- The yardstick: the plainest booking that is correct, on tables of the same shape in the same database.
--
-- It never sells a place or a credit twice and never books a client twice; it does nothing else. No row level security,
-- no spots, no policies and booking windows, no idempotency key, no ledger, no events, no audit, no answer to read.
CREATE SCHEMA reference;
SET search_path = reference;

CREATE TABLE class_sessions (LIKE public.class_sessions INCLUDING CONSTRAINTS, PRIMARY KEY (tenant_id, id));
CREATE TABLE clients (LIKE public.clients, PRIMARY KEY (tenant_id, id));
CREATE TABLE client_packages (
    LIKE public.client_packages INCLUDING CONSTRAINTS,
    PRIMARY KEY (tenant_id, id),
    FOREIGN KEY (tenant_id, client_id) REFERENCES clients
);
CREATE INDEX ON client_packages (tenant_id, client_id);
CREATE TABLE bookings (
    tenant_id uuid NOT NULL,
    id uuid NOT NULL,
    class_session_id uuid NOT NULL,
    client_id uuid NOT NULL,
    client_package_id uuid NOT NULL,
    create_time timestamptz NOT NULL,
    PRIMARY KEY (tenant_id, id),
    UNIQUE (tenant_id, class_session_id, client_id),
    FOREIGN KEY (tenant_id, class_session_id) REFERENCES class_sessions,
    FOREIGN KEY (tenant_id, client_id) REFERENCES clients,
    FOREIGN KEY (tenant_id, client_package_id) REFERENCES client_packages
);
CREATE INDEX ON bookings (tenant_id, client_id);

INSERT INTO class_sessions SELECT * FROM public.class_sessions;
INSERT INTO clients SELECT * FROM public.clients;
INSERT INTO client_packages SELECT * FROM public.client_packages;

CREATE FUNCTION book(p_tenant uuid, p_booking uuid, p_session uuid, p_client uuid, p_now timestamptz) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    v_package uuid;
BEGIN
    UPDATE reference.class_sessions SET booked_count = booked_count + 1
    WHERE tenant_id = p_tenant AND id = p_session
        AND booked_count < planned_capacity AND NOT cancelled AND start_time > p_now;
    IF NOT FOUND THEN RAISE EXCEPTION 'not to be booked'; END IF;

    SELECT id INTO v_package FROM reference.client_packages
    WHERE tenant_id = p_tenant AND client_id = p_client AND credits_left > 0
    ORDER BY expire_time NULLS LAST, id LIMIT 1 FOR UPDATE;
    IF NOT FOUND THEN RAISE EXCEPTION 'no credit'; END IF;
    UPDATE reference.client_packages SET credits_left = credits_left - 1 WHERE tenant_id = p_tenant AND id = v_package;

    INSERT INTO reference.bookings VALUES (p_tenant, p_booking, p_session, p_client, v_package, p_now);
END $$;
