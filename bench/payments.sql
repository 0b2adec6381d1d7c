-- Purchases of one round of the drain, in payments' database: none is paid yet, each has its intent at the provider, and
-- all that the provider tells of it lies there as four events, each with a job that is not due.
-- `bench.purchases`, `bench.first`, `bench.studios` and `bench.clients` (of each studio) are set by the caller.
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
    current_setting('bench.first')::bigint + current_setting('bench.purchases')::bigint - 1) number
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

-- In the order in which they come; the third is the one that says what concerns us.
CREATE TEMPORARY TABLE told ON COMMIT DROP AS
SELECT account, number * 4 + place AS event, 'payment_intent.' || happened AS type, jsonb_build_object(
    'id', 'pi_' || number, 'object', 'payment_intent', 'status', status, 'amount', 10000,
    'amount_received', received, 'currency', 'eur', 'latest_charge', charge,
    'metadata', jsonb_build_object('powerhouse_payment', bench_id(5, number))) AS payload
FROM sold, LATERAL (VALUES (0, 'created', 'requires_payment_method', 0, NULL),
    (2, 'succeeded', 'succeeded', 10000, 'ch_' || number)) AS intent (place, happened, status, received, charge)
UNION ALL
SELECT account, number * 4 + place, 'charge.' || happened, jsonb_build_object(
    'id', 'ch_' || number, 'object', 'charge', 'status', 'succeeded', 'amount', 10000, 'amount_captured', 10000,
    'currency', 'eur', 'payment_intent', 'pi_' || number, 'balance_transaction', line,
    'payment_method_details', jsonb_build_object('type', 'card', 'card', jsonb_build_object('brand', 'visa')))
FROM sold, LATERAL (VALUES (1, 'succeeded', NULL), (3, 'updated', 'txn_' || number)) AS charge (place, happened, line);

-- About as long as the provider's are.
INSERT INTO provider_events (provider, external_account, external_id, type, payload, source, receive_time)
SELECT 'stripe', account, 'evt_' || event, type,
    payload || (SELECT jsonb_object_agg('field_' || field || '_of_no_interest', NULL) FROM generate_series(1, 30) field),
    'WEBHOOK', now()
FROM told;
INSERT INTO jobs (id, kind, dedup_key, args, due_at)
SELECT bench_id(7, event), 'apply_provider_event', account || ' evt_' || event,
    jsonb_build_object('account', account, 'event', 'evt_' || event), now() + interval '9 days'
FROM told;

-- What a payment causes waits until the backlog is applied.
CREATE OR REPLACE FUNCTION bench_wait() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.due_at = NEW.due_at + interval '9 days';
    RETURN NEW;
END $$;
CREATE OR REPLACE TRIGGER bench_wait BEFORE INSERT ON jobs FOR EACH ROW
WHEN (NEW.kind IN ('fulfil_purchase', 'issue_receipt')) EXECUTE FUNCTION bench_wait();
