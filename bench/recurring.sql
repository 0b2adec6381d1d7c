-- Studios with recurring classes: in each 4 rooms, 11 instructors, `bench.schedules` schedules on Mondays, Wednesdays and Fridays
-- that never meet, and 6 single sessions, each in the way of one of their dates. `bench.studios` is set by the caller.
CREATE FUNCTION bench_id(kind integer, number bigint) RETURNS uuid
LANGUAGE sql IMMUTABLE
RETURN format('00000000-0000-7000-800%s-%s', kind, 100000000000 + number)::uuid;

SELECT set_config('app.tenants', (array_agg(bench_id(1, studio)))::text, false)
FROM generate_series(0, current_setting('bench.studios')::integer - 1) studio;

INSERT INTO studio_ids SELECT unnest(current_setting('app.tenants')::uuid[]);
INSERT INTO studios (tenant_id, display_name, time_zone, currency_code, version)
SELECT studio_id, 'Bench', 'Europe/Berlin', 'EUR', 1 FROM studio_ids;
INSERT INTO locations (tenant_id, id, display_name, version, address, time_zone)
SELECT studio_id, bench_id(2, 0), 'Mitte', 1, 'Torstraße 1', 'Europe/Berlin' FROM studio_ids;
INSERT INTO rooms (tenant_id, id, display_name, version, location_id, capacity, spots)
SELECT studio_id, bench_id(3, room), 'Room ' || room, 1, bench_id(2, 0), 10,
    ARRAY(SELECT 'Reformer ' || spot FROM generate_series(1, 10) spot)
FROM studio_ids, generate_series(0, 3) room;
INSERT INTO class_types (tenant_id, id, display_name, version, description, duration_minutes)
SELECT studio_id, bench_id(4, 0), 'Reformer Flow', 1, '', 50 FROM studio_ids;
INSERT INTO instructors (tenant_id, id, display_name, version, class_type_ids)
SELECT studio_id, bench_id(5, instructor), 'Instructor ' || instructor, 1, '{}'
FROM studio_ids, generate_series(0, 10) instructor;
-- Four at a time, two hours apart.
INSERT INTO class_schedules (
    tenant_id, id, display_name, version, class_type_id, room_id, instructor_id, rrule, start_date, local_time,
    duration_minutes, capacity, series_id, attention
)
SELECT studio_id, bench_id(6, schedule), 'Schedule ' || schedule, 1, bench_id(4, 0), bench_id(3, schedule % 4),
    bench_id(5, schedule % 10), 'FREQ=WEEKLY;BYDAY=MO,WE,FR', '2026-01-05', make_time(7 + schedule / 4 * 2, 0, 0),
    50, 10, bench_id(6, schedule), ''
FROM studio_ids, generate_series(0, current_setting('bench.schedules')::integer - 1) schedule;

-- The same rows without the guard against overlaps, with it, and without keys to other tables either.
CREATE SCHEMA unchecked;
CREATE TABLE unchecked.guarded (LIKE public.class_sessions INCLUDING ALL);
CREATE TABLE unchecked.class_sessions (LIKE public.class_sessions INCLUDING ALL);
ALTER TABLE unchecked.class_sessions
    DROP CONSTRAINT class_sessions_tenant_id_room_id_tstzrange_excl,
    DROP CONSTRAINT class_sessions_tenant_id_instructor_id_tstzrange_excl;
CREATE TABLE unchecked.bare (LIKE unchecked.class_sessions INCLUDING ALL);
DO $$
BEGIN
    FOR position IN 0..1 LOOP
        EXECUTE format('ALTER TABLE unchecked.%I'
            ' ADD FOREIGN KEY (tenant_id) REFERENCES public.studios,'
            ' ADD FOREIGN KEY (tenant_id, class_type_id) REFERENCES public.class_types,'
            ' ADD FOREIGN KEY (tenant_id, room_id) REFERENCES public.rooms,'
            ' ADD FOREIGN KEY (tenant_id, instructor_id) REFERENCES public.instructors,'
            ' ADD FOREIGN KEY (tenant_id, schedule_id) REFERENCES public.class_schedules',
            (ARRAY['guarded', 'class_sessions'])[position + 1]);
    END LOOP;
END $$;
CREATE TABLE unchecked.outbox (LIKE public.outbox INCLUDING ALL);
