-- The rush: one studio more, of `bench.rush` clients who all want the same class. `bench.rush_studio` is its number, `bench.rush_first` that of
-- its first client.
SELECT set_config('app.tenants', format('{%s}', bench_id(1, current_setting('bench.rush_studio')::integer)), false);

INSERT INTO studio_ids VALUES (bench_id(1, current_setting('bench.rush_studio')::integer));

INSERT INTO booking_policies (tenant_id, version, create_time) SELECT bench_id(1, current_setting('bench.rush_studio')::integer), 1, now();

INSERT INTO clients (tenant_id, id, display_name, email, language, is_self, version)
SELECT bench_id(1, current_setting('bench.rush_studio')::integer), bench_id(3, number),
    'Client ' || number, format('client%s@bench.example', number), '', false, 1
FROM generate_series(current_setting('bench.rush_first')::integer, current_setting('bench.rush_first')::integer + current_setting('bench.rush')::integer - 1) number;

INSERT INTO client_packages (tenant_id, id, client_id, display_name, credits_granted, reason, version)
SELECT tenant_id, bench_id(4, right(id::text, 11)::bigint), id, 'Class pack', 100, 'bench', 1
FROM clients WHERE tenant_id = bench_id(1, current_setting('bench.rush_studio')::integer);

INSERT INTO transfers (tenant_id, debit_account, credit_account, amount, cause, create_time)
SELECT tenant_id, '00000000-0000-0000-0000-000000000001', id, credits_granted, 'granted', now()
FROM client_packages WHERE tenant_id = bench_id(1, current_setting('bench.rush_studio')::integer);
