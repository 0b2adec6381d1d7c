-- Full classes in which as many wait as are booked, of one round: `bench.first` is the number of the first class, `bench.classes` how
-- many there are, `bench.places` how many places each has. Each is at an hour of its own, so that nothing is in anybody's way.
CREATE TEMPORARY TABLE wanted ON COMMIT DROP AS
SELECT bench_id(1, class % current_setting('bench.studios')::int) AS tenant_id, bench_id(2, class) AS session_id, class, place,
    place < current_setting('bench.places')::int AS booked,
    bench_id(3, class % current_setting('bench.studios')::int * current_setting('bench.clients')::int + place) AS client_id,
    bench_id(5, class % current_setting('bench.studios')::int * current_setting('bench.clients')::int + place) AS package_id,
    gen_random_uuid() AS id, gen_random_uuid() AS hold_id
FROM generate_series(current_setting('bench.first')::int,
    current_setting('bench.first')::int + current_setting('bench.classes')::int - 1) class
CROSS JOIN generate_series(0, 2 * current_setting('bench.places')::int - 1) place;

INSERT INTO class_sessions
SELECT (jsonb_populate_record(s.like_all, jsonb_build_object(
    'tenant_id', w.tenant_id, 'id', w.session_id,
    'start_time', now() + interval '40 days' + make_interval(hours => w.class - w.first),
    'end_time', now() + interval '40 days' + make_interval(hours => w.class - w.first, mins => 50),
    'planned_capacity', w.places, 'effective_capacity', w.places, 'booked_count', w.places))).*
FROM (
    SELECT DISTINCT tenant_id, session_id, class, current_setting('bench.earliest')::int AS first,
        current_setting('bench.places')::int AS places FROM wanted
) w
CROSS JOIN (SELECT c AS like_all FROM class_sessions c LIMIT 1) s;

INSERT INTO bookings (tenant_id, id, class_session_id, client_id, client_package_id, state, policy_version, credit_returned,
    session_cancelled, version, create_time, update_time, start_time, end_time)
SELECT w.tenant_id, w.id, w.session_id, w.client_id, w.package_id, 'CONFIRMED', 1, false, false, 1, now(), now(), s.start_time,
    s.end_time
FROM wanted w JOIN class_sessions s ON s.tenant_id = w.tenant_id AND s.id = w.session_id WHERE w.booked;

INSERT INTO credit_holds (tenant_id, id, client_id, client_package_id, create_time)
SELECT tenant_id, hold_id, client_id, package_id, now() FROM wanted WHERE NOT booked;

INSERT INTO transfers (tenant_id, debit_account, credit_account, amount, cause, booking_id, create_time)
SELECT tenant_id, package_id, CASE WHEN booked THEN '00000000-0000-0000-0000-000000000002' ELSE hold_id END, 1,
    CASE WHEN booked THEN 'booked' ELSE 'held' END, CASE WHEN booked THEN id END, now()
FROM wanted;

INSERT INTO waitlist_entries (tenant_id, id, class_session_id, client_id, credit_hold_id, state, join_time, version)
SELECT tenant_id, id, session_id, client_id, hold_id, 'WAITING', now() + make_interval(secs => place), 1
FROM wanted WHERE NOT booked;
