"""Each guard of the house is taken out once, in a copy of the code, and the test that watches it must turn red.

A mutant is a text replacement: when the guarded line changes, the mutant has to be looked at again.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
COPIED = ("services", "gateway", "embedded", "tests", "pyproject.toml")
LINKED = ("gen", "protos", ".venv")


@dataclass(frozen=True)
class Mutant:
    """`old` becomes `new` in `file`; then `test` must fail."""

    guard: str
    file: str
    old: str
    new: str
    test: str


CHASSIS = "tests/integration/chassis"
SCHEDULING = "tests/integration/scheduling"
BOOKING = "tests/integration/booking"
NOTIFY = "tests/integration/notify"
IDENTITY = "tests/integration/identity"
GATEWAY = "tests/integration/gateway"
MUTANTS = [
    Mutant(
        "a method without a policy keeps its server from starting",
        "services/chassis/rpc/policy.py",
        "if policy.scope == MethodPolicy.SCOPE_UNSPECIFIED:",
        "if False:",
        "tests/contract/test_policies.py::test_a_server_with_an_unsound_method_refuses_to_start",
    ),
    Mutant(
        "permission by role",
        "services/chassis/rpc/interceptors.py",
        "if not principal.roles_in(tenant) & {*policy.roles, *policy.own_roles}:",
        "if False:",
        f"{CHASSIS}/test_calls.py::test_nobody_a_stranger_and_the_wrong_role_are_refused",
    ),
    Mutant(
        "roles over one's own objects do not reach the whole studio",
        "services/chassis/rpc/call.py",
        "return bool(self.principal.roles_in(self.tenant) & set(self.policy.roles))",
        "return True",
        "tests/contract/test_authorisation_matrix.py::test_what_is_not_the_callers_own_is_not_there",
    ),
    Mutant(
        "a key is bound to its request",
        "services/chassis/db/unit_of_work.py",
        "if row.request_hash != call.request_hash:",
        "if False:",
        f"{CHASSIS}/test_calls.py::test_the_same_key_with_another_body_is_refused",
    ),
    Mutant(
        "a key works once",
        "services/chassis/db/database.py",
        "if stored is not None:",
        "if False:",
        f"{CHASSIS}/test_calls.py::test_a_repeat_answers_the_same_and_writes_once",
    ),
    Mutant(
        "tenant tables are forced under row level security",
        "services/chassis/db/migrations.py",
        'op.execute(f"ALTER TABLE {table} FORCE ROW LEVEL SECURITY")',
        "pass",
        "tests/integration/test_databases.py::test_every_tenant_table_is_guarded[scheduling]",
    ),
    Mutant(
        "the relay marks after the confirm",
        "services/chassis/messaging/relay.py",
        "await self._publisher.send(list(self._messages(events)))",
        "self._publisher.send(list(self._messages(events))).close()",
        f"{CHASSIS}/test_relay.py::test_keeps_events_while_the_broker_is_away",
    ),
    Mutant(
        "the inbox applies an event once",
        "services/chassis/messaging/inbox.py",
        "if consumer is None or envelope.event_id not in fresh:",
        "if consumer is None:",
        f"{CHASSIS}/test_inbox.py::test_doubled_and_shuffled_events_lead_to_the_same_state",
    ),
    Mutant(
        "a poisoned event is rolled back alone",
        "services/chassis/messaging/inbox.py",
        "            if is_outage(error):\n                raise",
        "            raise",
        f"{CHASSIS}/test_inbox.py::test_a_poisoned_event_is_parked_alone",
    ),
    Mutant(
        "the feed compares counts",
        "services/chassis/messaging/feed.py",
        "== request.known_count:",
        ">= 0:",
        f"{CHASSIS}/test_feed.py::test_only_what_was_missed_is_applied",
    ),
    Mutant(
        "a job is claimed once",
        "services/chassis/jobs/queues.py",
        "SELECT id AS picked_id FROM {self.table} WHERE {self.is_due}",
        "SELECT id AS picked_id FROM {self.table} WHERE due_at <= $1",
        f"{CHASSIS}/test_jobs.py::test_racing_workers_run_each_job_once",
    ),
    Mutant(
        "a backlog is announced in portions",
        "services/chassis/jobs/queues.py",
        "THEN {ROWS_PER_ROUND} ELSE 0 END",
        "THEN {ROWS_PER_ROUND} ELSE {ROWS_PER_ROUND} END",
        f"{CHASSIS}/test_jobs.py::test_a_backlog_is_announced_in_portions",
    ),
    Mutant(
        "a lost lease records nothing",
        "services/chassis/jobs/queues.py",
        "WHERE q.id = r.id AND q.lease_token = $1 RETURNING q.id",
        "WHERE q.id = r.id AND $1::uuid IS NOT NULL RETURNING q.id",
        f"{CHASSIS}/test_jobs.py::test_whoever_lost_the_lease_records_nothing",
    ),
    Mutant(
        "leases are renewed while a job runs",
        "services/chassis/jobs/worker.py",
        "renewal = asyncio.create_task(self._renew(token, running))",
        "renewal = asyncio.create_task(asyncio.sleep(0))",
        f"{CHASSIS}/test_jobs.py::test_a_long_job_keeps_its_lease",
    ),
    Mutant(
        "the sweeper finds expired leases",
        "services/chassis/jobs/queues.py",
        "AND lease_until < clock_timestamp()",
        "AND lease_until < '2000-01-01'",
        f"{CHASSIS}/test_jobs.py::test_the_sweeper_fails_what_has_no_attempt_left",
    ),
    Mutant(
        "a tick is made once",
        "services/chassis/jobs/dispatcher.py",
        "new_id(), kind, tick_at.isoformat(), tick_at)",
        "new_id(), kind, new_id().hex, tick_at)",
        f"{CHASSIS}/test_jobs.py::test_three_dispatchers_make_each_tick_once",
    ),
    Mutant(
        "two sessions never overlap in a room",
        "services/scheduling/migrations/versions/0001_timetable.py",
        "room_id WITH =, tstzrange",
        "room_id WITH =, id WITH =, tstzrange",
        f"{SCHEDULING}/test_overlap.py::test_twenty_at_once_for_one_room_and_time",
    ),
    Mutant(
        "two sessions never overlap for an instructor",
        "services/scheduling/migrations/versions/0001_timetable.py",
        "instructor_id WITH =, tstzrange",
        "instructor_id WITH =, id WITH =, tstzrange",
        f"{SCHEDULING}/test_overlap.py::test_twenty_at_once_for_one_instructor",
    ),
    Mutant(
        "a stale etag changes nothing",
        "services/scheduling/class_sessions.py",
        "check_etag(etag, session.etag)",
        "pass",
        f"{SCHEDULING}/test_class_sessions.py::test_stale_etags_change_nothing",
    ),
    Mutant(
        "a local time that a clock change skips is refused",
        "services/scheduling/local_time.py",
        "if _wall(instant, zone) != naive:",
        "if False:",
        "tests/unit/scheduling/test_local_time.py::test_a_gap_is_refused_and_a_fold_is_the_first",
    ),
    Mutant(
        "every booking takes a place from the counter that is checked",
        "services/booking/sql/book_v3.sql",
        "booked_count = booked_count + v_places",
        "booked_count = booked_count",
        f"{BOOKING}/test_booking_races.py::test_a_thousand_requests_for_the_last_five_places",
    ),
    Mutant(
        "a projection ignores what is not newer",
        "services/booking/class_sessions.py",
        "where=ClassSession.version < fresh.excluded.version,",
        "where=ClassSession.version > 0,",
        f"{BOOKING}/test_booking_sessions.py::test_any_order_and_duplicates_lead_to_the_same_state",
    ),
    Mutant(
        "cancelling late keeps the credit",
        "services/booking/cancellation.py",
        "return max(deadline, booking.free_decline_time or deadline)",
        "return booking.start_time",
        f"{BOOKING}/test_booking_cancel.py::test_late_keeps_it_and_frees_the_place",
    ),
    Mutant(
        "a client touches only what is theirs",
        "services/booking/bookings.py",
        "if account is not None and (booking is None or booking.account_id != account):",
        "if False:",
        f"{BOOKING}/test_booking_cancel.py::test_of_others",
    ),
    Mutant(
        "instructors check in where they teach",
        "services/booking/attendance.py",
        "await class_sessions.get_taught(tx, seen.class_session_id, instructor)",
        "await class_sessions.get_taught(tx, seen.class_session_id, None)",
        f"{BOOKING}/test_attendance_check_in.py::TestCheckIn::test_instructors_where_they_teach",
    ),
    Mutant(
        "a code is guessed five times",
        "services/booking/attendance.py",
        "await check_in_codes.count_attempt(tx, booking_id)",
        "pass",
        f"{BOOKING}/test_attendance_self.py::TestSelfCheckIn::test_many_guesses_at_once",
    ),
    Mutant(
        "a studio that checks nobody in has no absent",
        "services/booking/no_shows.py",
        "p.no_show_marking = 'WHEN_CHECKED_IN' AND EXISTS (",
        "p.no_show_marking = 'WHEN_CHECKED_IN' OR EXISTS (",
        f"{BOOKING}/test_attendance_no_shows.py::TestWhom::test_nobody_where_nobody_is_checked_in",
    ),
    Mutant(
        "what was paid is not given up",
        "services/booking/drop_ins.py",
        '    if booking.state != "PENDING_PAYMENT":\n        return False',
        "",
        f"{BOOKING}/test_drop_ins.py::TestHolds::test_what_was_paid_or_cancelled_stays_so",
    ),
    Mutant(
        "late payments take places under the session's lock",
        "services/booking/drop_ins.py",
        "await lock_place(tx, seen.class_session_id, seen.client_id)",
        "pass",
        f"{BOOKING}/test_drop_ins.py::TestTooLate::test_while_somebody_else_takes_the_place",
    ),
    Mutant(
        "a revoked calendar answers no more",
        "services/booking/calendar_feeds.py",
        "            CalendarFeed.revoke_time.is_(None),\n        )\n    )\n    subject",
        "        )\n    )\n    subject",
        f"{BOOKING}/test_calendar_feeds.py::test_what_is_revoked_never_was",
    ),
    Mutant(
        "the address of a calendar ends with its maker's right to it",
        "services/booking/calendar_feeds.py",
        "feed.account_id not in (None, subject.account_id)",
        "False",
        f"{BOOKING}/test_calendar_feeds.py::test_a_feed_of_an_account_ends_with_its_link_to_the_client",
    ),
    Mutant(
        "people make calendars for whom they act for alone",
        "services/booking/calendar_feeds.py",
        "if account is not None and (subject is None or subject.account_id != account):",
        "if False:",
        f"{BOOKING}/test_calendar_feeds.py::test_people_make_them_for_whom_they_act_for",
    ),
    Mutant(
        "a change of the clocks is told at the wall time before it",
        "services/booking/ics.py",
        "onset.astimezone(UTC).replace(tzinfo=None) + before",
        "onset.replace(tzinfo=None)",
        "tests/unit/booking/test_ics.py::test_around_both_changes_of_the_clocks_every_quarter_of_an_hour_is_right",
    ),
    Mutant(
        "a preview of a change takes it back",
        "services/scheduling/session_previews.py",
        "await tx.session.rollback()",
        "pass",
        f"{SCHEDULING}/test_session_previews.py::test_who_would_be_concerned_and_nothing_happens",
    ),
    Mutant(
        "transfers are never rewritten",
        "services/booking/sql/keep_transfers_v2.sql",
        "RAISE EXCEPTION",
        "RAISE NOTICE",
        f"{BOOKING}/test_booking_guards.py",
    ),
    Mutant(
        "staff take away no more than is left",
        "services/booking/credits.py",
        "if left + delta < 0:",
        "if False:",
        f"{BOOKING}/test_credit_changes.py::TestAdjusting::test_never_below_zero",
    ),
    Mutant(
        "a revoked package pays for nothing",
        "services/booking/sql/choose_package_v2.sql",
        " AND revoke_time IS NULL",
        "",
        f"{BOOKING}/test_credit_changes.py::TestRevoking::test_pays_no_more_not_even_with_what_comes_back",
    ),
    Mutant(
        "a package has started as long as a booking has a credit of it",
        "services/booking/sql/move_credits_v2.sql",
        "AND NOT o.credit_returned",
        "AND false",
        f"{BOOKING}/test_credit_grants.py::TestFirstUse::test_has_not_started_when_all_came_back",
    ),
    Mutant(
        "what lapses is posted under the lock of its client",
        "services/booking/lapses.py",
        " FOR NO KEY UPDATE OF c",
        "",
        f"{BOOKING}/test_credit_changes.py::TestLapsing::test_any_number_of_workers_in_many_studios_post_once",
    ),
    Mutant(
        "who books directly passes nobody who waits",
        "services/booking/sql/waits_first_v1.sql",
        "RETURN EXISTS (",
        "RETURN false AND EXISTS (",
        f"{BOOKING}/test_waitlist_fill.py::TestHours::test_at_night_a_place_waits_for_the_morning",
    ),
    Mutant(
        "a credit is shared only by waits that exclude each other",
        "services/booking/holds.py",
        "HAVING bool_and(",
        "HAVING bool_or(",
        f"{BOOKING}/test_waitlist_join.py::TestSharing::test_a_chain_is_no_clique",
    ),
    Mutant(
        "who gives a place back locks all who wait for it",
        "services/booking/locks.py",
        "await lock_clients(tx, {*clients,",
        "await lock_clients(tx, {*clients} or {",
        f"{BOOKING}/test_waitlist_races.py::test_the_lock_of_the_client_is_what_keeps_one_credit_from_paying_twice",
    ),
    Mutant(
        "nobody is promoted while somebody before could be",
        "services/booking/waitlist.py",
        "ORDER BY e.displaced DESC, e.join_time, e.id",
        "ORDER BY e.displaced DESC, e.join_time DESC, e.id",
        f"{BOOKING}/test_waitlist_fill.py::TestPromotion::test_who_cancels_makes_room_for_the_first",
    ),
    Mutant(
        "a chunk of an import is done once",
        "services/booking/import_chunks.py",
        "and found.position == position",
        "",
        f"{BOOKING}/test_import_clients.py::test_a_worker_that_dies_loses_nothing_and_doubles_nothing",
    ),
    Mutant(
        "a check is undone",
        "services/booking/import_chunks.py",
        "tx.trial() if trial else nullcontext()",
        "nullcontext()",
        f"{BOOKING}/test_import_clients.py::test_a_file_is_understood_checked_and_run",
    ),
    Mutant(
        "what staff say of a fee goes with the person",
        "services/booking/erasure.py",
        "UPDATE fees SET reason = :erased,",
        "UPDATE fees SET",
        f"{BOOKING}/test_erasure.py::test_no_trace_is_left_and_the_books_are_as_before",
    ),
    Mutant(
        "a mail is repeated under its own key",
        "services/notify/providers/resend.py",
        '{"idempotency_key": key}',
        '{"idempotency_key": str(id(params))}',
        f"{NOTIFY}/test_sending.py::test_a_crash_after_the_provider_accepted_sends_once",
    ),
    Mutant(
        "attempts to sign in are counted one after the other",
        "services/identity/throttle.py",
        "SELECT pg_advisory_xact_lock(:key)",
        "SELECT CAST(:key AS bigint)",
        f"{IDENTITY}/test_identity_throttle.py::test_attempts_at_the_same_time_are_counted_before_they_are_tried",
    ),
    Mutant(
        "a write by cookie needs the token of its page",
        "gateway/sessions.py",
        "if request.method not in _SAFE_METHODS and not hmac.compare_digest(",
        "if False and not hmac.compare_digest(",
        "tests/integration/gateway/test_http_sessions.py::test_a_write_by_cookie_needs_the_token_of_its_page",
    ),
    Mutant(
        "an upload that just stops is not whole",
        "services/chassis/rpc/uploads.py",
        'raise Aborted("the upload broke off", reason="UPLOAD_BROKEN_OFF")',
        "return",
        f"{SCHEDULING}/test_logos.py::test_what_broke_off_is_not_taken_for_whole",
    ),
    Mutant(
        "a logo is an image by its first bytes",
        "services/chassis/blobs.py",
        "if not content_type:",
        "if False:",
        f"{SCHEDULING}/test_logos.py::test_what_is_no_logo_is_refused",
    ),
    Mutant(
        "only so many watch at once",
        "services/booking/live.py",
        "if self._watchers >= MAX_WATCHERS:",
        "if False:",
        f"{BOOKING}/test_booking_live.py::test_the_number_of_watchers_is_bounded",
    ),
    Mutant(
        "a booking changes hands by a merge alone",
        "services/booking/sql/guard_booking_v2.sql",
        "IF NEW.client_id <> OLD.client_id AND NOT EXISTS (",
        "IF NEW.client_id IS NULL AND NOT EXISTS (",
        f"{BOOKING}/test_client_merges.py::test_a_booking_changes_hands_by_a_merge_alone",
    ),
    Mutant(
        "two bookings of one class are not merged",
        "services/booking/client_merges.py",
        "await _require_apart(tx, survivor_id, duplicate_id)",
        "pass",
        f"{BOOKING}/test_client_merges.py::TestRefusals::test_two_places_in_one_class",
    ),
    Mutant(
        "health notes are for who must know",
        "services/booking/client_notes.py",
        "reads_health = reader.manages or await _teaches(tx, reader.account, client_id)",
        "reads_health = True",
        f"{BOOKING}/test_client_notes.py::TestHealth::test_the_front_desk_sees_only_that_there_is_one",
    ),
    Mutant(
        "a search stays in its studio",
        "services/booking/sql/search_clients_v1.sql",
        "IF p_tenant <> ALL (current_setting('app.tenants')::uuid[]) THEN",
        "IF p_tenant IS NULL THEN",
        f"{BOOKING}/test_client_search.py::test_other_studios_do_not_come_out",
    ),
    Mutant(
        "a waiver is signed in the version that is in force",
        "services/booking/waiver_signatures.py",
        "if version != in_force.version:",
        "if False:",
        f"{BOOKING}/test_client_waivers.py::test_everybody_signs_each_version_once",
    ),
    Mutant(
        "credentials that identity has not accepted count as their address",
        "gateway/api.py",
        "if self._tokens.knows(credential):",
        "if True:",
        f"{GATEWAY}/test_http_edges.py::test_made_up_credentials_count_as_a_stranger",
    ),
    Mutant(
        "personal answers are not kept by browsers",
        "gateway/caching.py",
        "if not personal:",
        "if True:",
        f"{GATEWAY}/test_http_edges.py::test_personal_answers_are_not_kept",
    ),
    Mutant(
        "a newer state of a booking is not replaced by an older one",
        "services/notify/reminders.py",
        "where=RemindedBooking.version < row.excluded.version",
        "where=RemindedBooking.version != row.excluded.version",
        f"{NOTIFY}/test_reminders.py::test_doubled_and_shuffled_news_lead_to_the_same_reminders",
    ),
    Mutant(
        "a reminder for another start is not sent",
        "services/notify/letters.py",
        "if recipient.time_version != sending.time_version:",
        "if False:",
        f"{NOTIFY}/test_reminders.py::test_what_is_stale_when_it_is_due_is_skipped",
    ),
    Mutant(
        "a booking inside the offset gets no stale reminder",
        "services/notify/reminders.py",
        "if due <= since:",
        "if False:",
        f"{NOTIFY}/test_reminders.py::test_booked_inside_an_offset_there_is_no_stale_reminder",
    ),
    Mutant(
        "a text that may have been taken is looked for and not sent again",
        "services/notify/sending.py",
        "if isinstance(answer, Unclear) and not _repeatable(provider):",
        "if False:",
        f"{NOTIFY}/test_texts.py::test_taken_without_an_answer_it_is_found_and_not_sent_again",
    ),
    Mutant(
        "a text whose sender died is looked for and not sent again",
        "services/notify/sending.py",
        "        if sending.state != State.PENDING:\n            return await _look",
        "        if sending.state == State.UNKNOWN:\n            return await _look",
        f"{NOTIFY}/test_texts.py::test_dying_while_it_is_sent_it_is_looked_for",
    ),
    Mutant(
        "who lost the lease of a delivery writes nothing",
        "services/notify/handing_over.py",
        "WHERE d.tenant_id = r.tenant AND d.id = r.id AND d.lease_token = r.token\nRETURNING d.id",
        "WHERE d.tenant_id = r.tenant AND d.id = r.id\nRETURNING d.id",
        f"{NOTIFY}/test_texts.py::test_who_lost_the_lease_writes_nothing",
    ),
    Mutant(
        "an old word of the provider changes nothing",
        "services/notify/deliveries.py",
        "if delivery is None or _RANK[outcome] <= _rank_of(delivery):",
        "if delivery is None:",
        f"{NOTIFY}/test_texts.py::test_words_come_twice_and_in_any_order",
    ),
    Mutant(
        "the newest change of a class speaks for all",
        "services/notify/class_changes.py",
        "if UUID(place.booking_id) not in spoken_for",
        "if place.booking_id",
        f"{NOTIFY}/test_reminders.py::test_the_newest_change_speaks_for_all",
    ),
    Mutant(
        "wishes are asked again when a message leaves",
        "services/notify/letters.py",
        "if sending.state == State.PENDING and content.preferences:",
        "if False:",
        f"{NOTIFY}/test_reminders.py::test_quiet_hours_and_opt_outs_are_kept",
    ),
]


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A copy of the code to spoil; generated stubs and tools are shared."""
    folder = tmp_path_factory.mktemp("mutants")
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__", "node_modules"))
        else:
            shutil.copy(source, folder / name)
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.guard.replace(" ", "-"))
def test_a_missing_guard_is_noticed(mutant: Mutant, copy: Path) -> None:
    file = copy / mutant.file
    healthy = file.read_text(encoding="utf-8")
    assert healthy.count(mutant.old) == 1, f"{mutant.file} no longer has the line of this mutant"
    file.write_text(healthy.replace(mutant.old, mutant.new), encoding="utf-8")
    try:
        run = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist", mutant.test],
            cwd=copy,
            env={
                **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COVERAGE_"))},
                "PYTHONPATH": f"{copy}{os.pathsep}{copy / 'gen'}",
                "PYTHONDONTWRITEBYTECODE": "1",
            },
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
    finally:
        file.write_text(healthy, encoding="utf-8")
    # 1: tests ran and failed. Anything else, an error at collection for one, proves nothing.
    assert run.returncode == 1, f"{mutant.test} did not turn red:\n{run.stdout[-3000:]}{run.stderr[-1000:]}"
    assert " failed" in run.stdout, run.stdout[-3000:]
