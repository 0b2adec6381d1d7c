-- Purchases of one round of the drain, in payments' database: none is paid yet, each has its intent at the provider, and
-- the provider's word that it has succeeded lies there as an event with a job that is not due.
-- `bench.events`, `bench.first`, `bench.studios` and `bench.clients` (of each studio) are set by the caller.
CREATE OR REPLACE FUNCTION bench_id(kind integer, number bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE
RETURN format('00000000-0000-7000-800%s-%s', kind, 100000000000 + number)::uuid;

CREATE TEMPORARY TABLE studios_of_bench ON COMMIT DROP AS
SELECT bench_id(1, n) AS tenant_id, 'acct_bench' || n AS account, n
FROM generate_series(0, current_setting('bench.studios')::integer - 1) n;

SELECT set_config('app.tenants', (SELECT array_agg(tenant_id)::text FROM studios_of_bench), true);

INSERT INTO merchants (external_account, studio_id)
SELECT account, tenant_id FROM studios_of_bench ON CONFLICT DO NOTHING;
INSERT INTO merchant_accounts (tenant_id, external_account, currency_code, charges_enabled, payouts_enabled,
    requirements, was_active, read_time, version)
SELECT tenant_id, account, 'EUR', true, true, '{}', true, now(), 1 FROM studios_of_bench ON CONFLICT DO NOTHING;
INSERT INTO pricing_options (tenant_id, id, kind, terms_version, version)
SELECT tenant_id, bench_id(2, n), 'CLASS_PACK', 1, 1 FROM studios_of_bench ON CONFLICT DO NOTHING;
INSERT INTO pricing_option_terms (tenant_id, pricing_option_id, version, display_name, price_minor, currency_code,
    credits, valid_days, starts_on_first_use, class_type_ids, intro_offer, create_time)
SELECT tenant_id, bench_id(2, n), 1, '10 classes', 10000, 'EUR', 10, 0, false, '{}', false, now()
FROM studios_of_bench ON CONFLICT DO NOTHING;

CREATE TEMPORARY TABLE sold ON COMMIT DROP AS
SELECT s.tenant_id, s.account, s.n AS studio, number,
    bench_id(3, s.n * current_setting('bench.clients')::integer
        + number / current_setting('bench.studios')::integer % current_setting('bench.clients')::integer) AS client_id
FROM generate_series(current_setting('bench.first')::bigint,
    current_setting('bench.first')::bigint + current_setting('bench.events')::bigint - 1) number
JOIN studios_of_bench s ON s.n = number % current_setting('bench.studios')::integer;

INSERT INTO purchases (tenant_id, id, client_id, pricing_option_id, kind, terms_version, intro_offer, price_minor,
    discount_minor, net_minor, tax_minor, total_minor, currency_code, state, version)
SELECT tenant_id, bench_id(4, number), client_id, bench_id(2, studio), 'CLASS_PACK', 1, false, 10000,
    0, 10000, 0, 10000, 'EUR', 'OPEN', 1
FROM sold;
INSERT INTO payments (tenant_id, id, purchase_id, external_account, external_id, intent_key, intent_key_time,
    amount_minor, currency_code, state, refunding_minor, refunded_minor, version)
SELECT tenant_id, bench_id(5, number), bench_id(4, number), account, 'pi_' || number, bench_id(6, number), now(),
    10000, 'EUR', 'OPEN', 0, 0, 1
FROM sold;
INSERT INTO provider_events (provider, external_account, external_id, type, payload, source, receive_time)
SELECT 'stripe', account, 'evt_' || number, 'payment_intent.succeeded', jsonb_build_object(
    'id', 'pi_' || number, 'object', 'payment_intent', 'status', 'succeeded', 'amount', 10000,
    'amount_received', 10000, 'currency', 'eur', 'latest_charge', 'ch_' || number,
    'metadata', jsonb_build_object('powerhouse_payment', bench_id(5, number))), 'WEBHOOK', now()
FROM sold;
INSERT INTO jobs (id, kind, dedup_key, args, due_at)
SELECT bench_id(7, number), 'apply_provider_event', account || ' evt_' || number,
    jsonb_build_object('account', account, 'event', 'evt_' || number), now() + interval '9 days'
FROM sold;
