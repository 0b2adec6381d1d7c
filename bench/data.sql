-- What the bench books in: studios with sessions of plenty of places and clients with plenty of credits, in one statement a table.
-- `bench.studios`, `bench.sessions` and `bench.clients` (of each studio) are set by the caller; ids are numbers in decimal digits.
CREATE FUNCTION bench_id(kind integer, number bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE
RETURN format('00000000-0000-7000-800%s-%s', kind, 100000000000 + number)::uuid;

SELECT set_config('app.tenants', (array_agg(bench_id(1, studio)))::text, false)
FROM generate_series(0, current_setting('bench.studios')::integer - 1) studio;

INSERT INTO studio_ids SELECT unnest(current_setting('app.tenants')::uuid[]);

INSERT INTO booking_policies (tenant_id, version, create_time) SELECT studio_id, 1, now() FROM studio_ids;

INSERT INTO class_sessions (
    tenant_id, id, version, time_version, class_type_display_name, room_display_name, location_display_name,
    instructor_display_name, start_time, end_time, time_zone, spots, cancelled,
    planned_capacity, effective_capacity, booked_count,
    class_type_id, room_id, location_id, instructor_id, currency_code
)
SELECT bench_id(1, number / current_setting('bench.sessions')::integer), bench_id(2, number), 1, 1,
    'Reformer Flow', 'Studio A', 'Mitte', 'Ada Lovelace', start_time, start_time + interval '50 minutes',
    'Europe/Berlin', '{}', false, current_setting('bench.clients')::integer, current_setting('bench.clients')::integer, 0,
    bench_id(6, 0), bench_id(7, 0), bench_id(8, 0), bench_id(9, 0), 'EUR'
FROM generate_series(0, current_setting('bench.studios')::integer * current_setting('bench.sessions')::integer - 1) number
CROSS JOIN LATERAL (
    SELECT date_trunc('hour', now()) + make_interval(hours => 24 + 600 * (number % current_setting('bench.sessions')::integer)
        / current_setting('bench.sessions')::integer)
) planned (start_time);

INSERT INTO clients (tenant_id, id, display_name, email, language, is_self, version)
SELECT bench_id(1, number / current_setting('bench.clients')::integer), bench_id(3, number),
    'Client ' || number, format('client%s@bench.example', number), '', false, 1
FROM generate_series(0, current_setting('bench.studios')::integer * current_setting('bench.clients')::integer - 1) number;

-- Two packages each, so that there is something to choose; what they hold is granted by transfers, as it must be.
INSERT INTO client_packages (
    tenant_id, id, client_id, display_name, credits_granted, expire_time, reason, version
)
SELECT tenant_id, bench_id(package, right(id::text, 11)::bigint), id, 'Class pack', current_setting('bench.sessions')::integer,
    CASE package WHEN 4 THEN now() + interval '60 days' END, 'bench', 1
FROM clients CROSS JOIN generate_series(4, 5) package;

INSERT INTO transfers (tenant_id, debit_account, credit_account, amount, cause, create_time)
SELECT tenant_id, '00000000-0000-0000-0000-000000000001', id, credits_granted, 'granted', now() FROM client_packages;
