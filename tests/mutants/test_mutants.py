"""Each guard of the house is taken out once, in a copy of the code, and the test that watches it must turn red.

A mutant is a text replacement: when the guarded line changes, the mutant has to be looked at again.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from embedded.postgres import Postgres
from embedded.processes import temporary_var
from tests.mutants.code_copy import ROOT, CodeCopy, code_copy
from tests.support.servers import CARELESS
from tests.support.templates import drop_all_but_templates


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
PAYMENTS = "tests/integration/payments"
EMBEDDED = "tests/integration/embedded"
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
        "generations of a studio take turns",
        "services/scheduling/generation.py",
        "studio = await studios.lock(tx)",
        "studio = await studios.get(tx)",
        f"{SCHEDULING}/test_generation.py::test_three_at_once_plan_each_date_once",
    ),
    Mutant(
        "a weekly run is made and told once",
        "services/scheduling/generation.py",
        "if run_id is not None and (earlier",
        "if False and (earlier",
        f"{SCHEDULING}/test_generation_weekly.py::test_on_sunday_at_six_of_the_studio_and_once",
    ),
    Mutant(
        "a date has one session, whatever became of it",
        "services/scheduling/planning.py",
        "if day in known:",
        "if False:",
        f"{SCHEDULING}/test_generation.py::test_what_was_moved_or_cancelled_by_hand_stays_so",
    ),
    Mutant(
        "a date that is not planned is in nobody's way",
        "services/scheduling/planning.py",
        "if not candidate.clashes:",
        "if True:",
        f"{SCHEDULING}/test_generation.py::test_who_clashes_only_with_a_rejected_date_is_planned",
    ),
    Mutant(
        "the end of the horizon is open",
        "services/scheduling/planning.py",
        "if not begin <= wall < end:",
        "if not begin <= wall <= end:",
        f"{SCHEDULING}/test_generation.py::test_the_horizon_is_half_open_wherever_it_begins",
    ),
    Mutant(
        "a time that happens twice is the first",
        "services/scheduling/recurrence.py",
        "tzinfo=zone, fold=0",
        "tzinfo=zone, fold=1",
        "tests/unit/scheduling/test_recurrence.py::test_a_wall_time_stays_the_same_on_every_day_that_clocks_change",
    ),
    Mutant(
        "every booking takes a place from the counter that is checked",
        "services/booking/sql/book_v4.sql",
        "booked_count = booked_count + v_places",
        "booked_count = booked_count",
        f"{BOOKING}/test_booking_races.py::test_a_thousand_requests_for_the_last_five_places",
    ),
    Mutant(
        "who has not signed the waiver that is asked for gets no place",
        "services/booking/sql/book_v4.sql",
        "IF code IS NULL AND v.waiver_required AND",
        "IF false AND v.waiver_required AND",
        f"{BOOKING}/test_waiver_required.py::test_who_has_not_signed_is_refused_and_told_what_to_sign",
    ),
    Mutant(
        "a free place goes past who has not signed the waiver",
        "services/booking/waitlist.py",
        "CASE WHEN s.waiver_required AND",
        "CASE WHEN false AND",
        f"{BOOKING}/test_waiver_required.py::test_a_place_goes_past_who_has_not_signed_the_new_text_until_they_do",
    ),
    Mutant(
        "a lane that has ended is no lane",
        "services/chassis/db/batches.py",
        "            self._lanes -= 1",
        "            asyncio.get_running_loop().call_soon(setattr, self, '_lanes', self._lanes - 1)",
        "tests/unit/chassis/test_batches.py::test_who_asks_at_the_moment_when_all_lanes_end_is_served",
    ),
    Mutant(
        "a projection ignores what is not newer",
        "services/booking/class_sessions.py",
        "where=ClassSession.version < fresh.excluded.version,",
        "where=ClassSession.version > 0,",
        f"{BOOKING}/test_booking_sessions.py::test_any_order_and_duplicates_lead_to_the_same_state",
    ),
    Mutant(
        "a session that was booked before it was known keeps its places",
        "services/booking/class_sessions.py",
        "with_people = set(found)",
        "with_people = set[UUID]()",
        f"{SCHEDULING}/test_generation_events.py::test_a_projection_that_was_emptied_finds_its_bookings_again",
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
        "services/booking/sql/move_credits_v3.sql",
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
        "services/booking/sql/guard_booking_v3.sql",
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
        "what is written of a booking is its own request's",
        "services/booking/sql/book_v4.sql",
        "array_lower(v_made, 1) - 1 + ordinality AS n",
        "ordinality AS n",
        f"{BOOKING}/test_booking_batches.py::test_who_is_refused_takes_no_place_from_who_comes_later",
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
        "what Resend did not sign is refused",
        "services/notify/providers/resend_webhooks.py",
        "        raise forged()",
        "        import json\n\n        return json.loads(body)",
        f"{NOTIFY}/test_webhooks.py::test_what_nobody_signed_is_refused_and_not_stored[resend]",
    ),
    Mutant(
        "what SendGrid did not sign is refused",
        "services/notify/providers/sendgrid_webhooks.py",
        "if not any(_is_signed(",
        "if False and not any(_is_signed(",
        f"{NOTIFY}/test_webhooks.py::test_what_nobody_signed_is_refused_and_not_stored[sendgrid]",
    ),
    Mutant(
        "what Twilio did not sign is refused",
        "services/notify/providers/twilio_webhooks.py",
        "if not ours or not any(",
        "if not ours or False and not any(",
        f"{NOTIFY}/test_webhooks.py::test_what_nobody_signed_is_refused_and_not_stored[twilio]",
    ),
    Mutant(
        "what was signed for another place is refused",
        "services/notify/providers/twilio_webhooks.py",
        "ours = webhook.url.startswith(self._callback_url)",
        "ours = True",
        f"{NOTIFY}/test_webhooks.py::test_what_twilio_signed_for_another_place_is_refused_here",
    ),
    Mutant(
        "what was signed long ago is refused",
        "services/notify/providers/webhooks.py",
        "if abs(age) > tolerance:",
        "if False:",
        f"{NOTIFY}/test_webhooks.py::test_what_was_signed_long_ago_is_refused",
    ),
    Mutant(
        "a webhook that comes again is stored once",
        "services/notify/provider_events.py",
        "ON CONFLICT DO NOTHING RETURNING id",
        "RETURNING id",
        f"{NOTIFY}/test_webhooks.py::test_duplicates_and_disorder_change_nothing",
    ),
    Mutant(
        "an event is applied once",
        "services/notify/provider_events.py",
        "open_still = (ProviderEvent.id == event_id, ProviderEvent.apply_time.is_(None))",
        "open_still = (ProviderEvent.id == event_id,)",
        f"{NOTIFY}/test_webhooks.py::test_what_several_workers_apply_at_once_is_done_once",
    ),
    Mutant(
        "credentials stay with the gateway",
        "gateway/api.py",
        "if name not in _NOT_PASSED_ON:",
        "if True:",
        f"{NOTIFY}/test_webhooks.py::test_the_service_sees_the_request_as_it_came_but_no_credentials",
    ),
    Mutant(
        "nobody else is asked while a provider may have the mail",
        "services/notify/providers/routes.py",
        "if may_have_it:",
        "if False:",
        "tests/unit/notify/test_gate.py::test_nobody_else_is_asked_while_the_first_may_have_it",
    ),
    Mutant(
        "a no for now says nothing about an earlier call without an answer",
        "services/notify/sending.py",
        "state = sending.state if isinstance(answer, Deferred) else State.SENDING",
        "state = State.PENDING if isinstance(answer, Deferred) else State.SENDING",
        f"{NOTIFY}/test_failover.py::test_who_may_have_it_is_not_replaced_even_when_it_then_says_no",
    ),
    Mutant(
        "STOP stops the next text",
        "services/notify/letters.py",
        "if suppressed := content.suppressed.get(channel):",
        "if False:",
        f"{NOTIFY}/test_whole_path.py::test_a_booking_its_reminders_and_what_the_client_answers",
    ),
    Mutant(
        "what waits for the morning goes on waiting",
        "services/notify/reminders.py",
        "if due <= since and key not in waiting:",
        "if due <= since:",
        "tests/unit/notify/test_wanted_reminders.py::test_what_waits_for_the_morning_goes_on_waiting_when_something_else_changes",
    ),
    Mutant(
        "a provider that is down is left alone",
        "services/notify/providers/gate.py",
        "if pause := self.closed_for:",
        "if False and (pause := self.closed_for):",
        "tests/unit/notify/test_gate.py::test_a_provider_that_is_down_is_left_alone",
    ),
    Mutant(
        "an answer of somebody in between is no yes",
        "services/notify/providers/sendgrid.py",
        "if answer.status_code >= 500 or answer.is_success:",
        "if answer.status_code >= 500:",
        f"{NOTIFY}/test_mail_providers.py::test_every_fault_says_what_is_known[sendgrid-accept_then_html]",
    ),
    Mutant(
        "a password goes to another machine by TLS only",
        "services/notify/providers/smtp.py",
        "secret = bool(parts.username) and parts.hostname not in _THIS_MACHINE",
        "secret = False",
        f"{NOTIFY}/test_mail_providers.py::test_a_mail_server_knows_us_by_our_password",
    ),
    Mutant(
        "only known push services are called",
        "services/notify/providers/web_push.py",
        "return None",
        "return next(iter(self._services.values()))",
        f"{NOTIFY}/test_push_provider.py::test_only_known_push_services_are_called",
    ),
    Mutant(
        "a link to preferences ends",
        "services/notify/links.py",
        "if expire_time <= real_now():",
        "if False:",
        f"{NOTIFY}/test_preferences.py::test_an_expired_link_says_so_and_does_nothing",
    ),
    Mutant(
        "a link to preferences is signed",
        "services/notify/links.py",
        "if len(mac) != _MAC or not hmac.compare_digest(mac, self._mac(body)):",
        "if len(mac) != _MAC:",
        f"{NOTIFY}/test_preferences.py::test_a_link_that_was_not_signed_here_is_refused",
    ),
    Mutant(
        "a link to preferences is of its studio",
        "services/notify/links.py",
        "hmac.new(self._secret, body, hashlib.sha256)",
        "hmac.new(self._secret, body[16:], hashlib.sha256)",
        f"{NOTIFY}/test_preferences.py::test_a_link_of_one_studio_reaches_no_other",
    ),
    Mutant(
        "looking unsubscribes nobody",
        "services/notify/rpc/preference_servicer.py",
        "return await self._page(self._links.read(request.token), request.token, done=False)",
        "return await self.Unsubscribe(request, context)",
        f"{NOTIFY}/test_preferences.py::test_looking_at_the_page_unsubscribes_nobody",
    ),
    Mutant(
        "clients reach their own preferences alone",
        "services/notify/rpc/names.py",
        "if not call.whole_studio and account != str(call.account()):",
        "if False:",
        f"{NOTIFY}/test_preferences.py::test_others_clients_are_not_there",
    ),
    Mutant(
        "what a client does not want is not sent",
        "services/notify/preferences.py",
        "if kind in CLIENT_KINDS and ",
        "if not kind and ",
        f"{NOTIFY}/test_preferences.py::test_what_a_client_wants_is_what_sending_sees",
    ),
    Mutant(
        "a consent stays as it was said",
        "services/notify/migrations/versions/0004_preferences.py",
        'guard(table, APP_ROLE, privileges="SELECT, INSERT")',
        'guard(table, APP_ROLE, privileges="SELECT, INSERT, UPDATE, DELETE")',
        f"{NOTIFY}/test_preferences.py::test_each_opt_out_and_each_one_taken_back_is_kept_with_its_source",
    ),
    Mutant(
        "of STOP and START the later word holds",
        "services/notify/suppressions.py",
        "            where=Suppression.at < row.excluded.at,\n",
        "",
        f"{NOTIFY}/test_suppressions.py::test_of_stop_and_start_the_later_word_holds_in_whatever_order_they_arrive",
    ),
    Mutant(
        "a template with an unknown variable is refused when it is saved",
        "services/notify/template_checks.py",
        "if unknown := sorted(used - known):",
        "if unknown := list[str]():",
        "tests/unit/notify/test_template_checks.py::test_an_unknown_variable_is_named_with_what_there_is",
    ),
    Mutant(
        "a template reaches for nothing",
        "services/notify/template_checks.py",
        "if not isinstance(node, _ALLOWED):",
        "if False:",
        "tests/unit/notify/test_template_checks.py::test_what_a_template_cannot_say_is_refused_with_its_field",
    ),
    Mutant(
        "quiet hours begin with their first second",
        "services/notify/quiet_hours.py",
        "if begin <= instant < end:",
        "if begin < instant < end:",
        "tests/unit/notify/test_quiet_hours.py::test_a_message_waits_leaves_before_or_never",
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
        "services/notify/contents.py",
        "if content.addressee.recipient.time_version != sending.time_version:",
        "if False:",
        f"{NOTIFY}/test_reminders.py::test_what_is_stale_when_it_is_due_is_skipped",
    ),
    Mutant(
        "a booking inside the offset gets no stale reminder",
        "services/notify/reminders.py",
        "if due <= since and key not in waiting:",
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
        "what somebody holds for a moment is looked at again",
        "services/chassis/jobs/worker.py",
        "_CLAIM_ATTEMPTS = 20",
        "_CLAIM_ATTEMPTS = 1",
        f"{CHASSIS}/test_jobs.py::test_what_somebody_holds_for_a_moment_is_looked_at_again",
    ),
    Mutant(
        "what either of two merged clients has stopped stays stopped",
        "services/notify/preferences.py",
        "while (current := await client_merges.current(tx, client_id)) != row.client_id:",
        "while (current := row.client_id) != row.client_id:",
        f"{NOTIFY}/test_merged_clients.py::test_what_is_stopped_while_a_merge_is_told_is_not_lost",
    ),
    Mutant(
        "of texts with the same words one is on its way at a time",
        "services/notify/sending.py",
        "_words_hash(desk, letter) if isinstance(letter, Sms) else None",
        "None",
        f"{NOTIFY}/test_texts.py::test_of_two_with_the_same_words_one_is_on_its_way_at_a_time",
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
        "a browser is of its own account alone",
        "services/notify/push_subscriptions.py",
        "table.client_id == client_id, table.account_id == account_id",
        "table.client_id == client_id, table.account_id.is_not(None)",
        f"{NOTIFY}/test_push.py::test_nobody_but_its_own_account_sees_or_ends_a_subscription",
    ),
    Mutant(
        "a browser that is gone is forgotten",
        "services/notify/pushing.py",
        "await push_subscriptions.forget(tx, gone)",
        "await push_subscriptions.forget(tx, [])",
        f"{NOTIFY}/test_push.py::test_a_browser_that_is_gone_is_forgotten_with_what_was_planned_for_it",
    ),
    Mutant(
        "who loses a place is told once",
        "services/notify/class_changes.py",
        "subject_id=UUID(place.waitlist_entry_id or place.booking_id),",
        'subject_id=__import__("uuid").uuid4(),',
        f"{NOTIFY}/test_class_news.py::test_who_loses_a_place_is_told_once",
    ),
    Mutant(
        "who has a place again is not told that it is gone",
        "services/notify/contents.py",
        "if recipient.waitlist_state == WaitlistEntry.PROMOTED or recipient.state == Booking.CONFIRMED:",
        "if False:",
        f"{NOTIFY}/test_class_news.py::test_who_has_a_place_again_before_it_is_sent_is_not_told_that_it_is_gone",
    ),
    Mutant(
        "wishes are asked again when a message leaves",
        "services/notify/letters.py",
        "    if sending.state == State.PENDING:\n        _check_wishes",
        "    if False:\n        _check_wishes",
        f"{NOTIFY}/test_reminders.py::test_quiet_hours_and_opt_outs_are_kept",
    ),
    Mutant(
        "an edit of a series leaves exceptions alone",
        "services/scheduling/replanning.py",
        "if not (entry.session.cancelled or entry.session.series_exception)]",
        "if not entry.session.cancelled]",
        f"{SCHEDULING}/test_series_edits.py::test_this_one_is_an_exception_from_then_on",
    ),
    Mutant(
        "an edit of a series revives nothing",
        "services/scheduling/replanning.py",
        "if not (entry.session.cancelled or entry.session.series_exception)]",
        "if not entry.session.series_exception]",
        f"{SCHEDULING}/test_series_edits.py::test_a_rule_without_some_days_cancels_them_for_good",
    ),
    Mutant(
        "a session changed by hand is an exception of its series",
        "services/scheduling/class_sessions.py",
        "session.series_exception = session.schedule_id is not None",
        "session.series_exception = False",
        f"{SCHEDULING}/test_series_edits.py::test_this_one_is_an_exception_from_then_on",
    ),
    Mutant(
        "the sessions of an edit step aside before they take their new places",
        "services/scheduling/replanning.py",
        "for entry in (*replanning.cancelled, *(entry for entry, _ in replanning.changed)):",
        "for entry in replanning.cancelled:",
        f"{SCHEDULING}/test_series_edits.py::test_one_may_take_the_place_that_another_leaves",
    ),
    Mutant(
        "an edit of a series is refused by name before anything is written",
        "services/scheduling/replanning.py",
        "if clash.kind in obstacles.OVERLAPS:",
        "if False:",
        f"{SCHEDULING}/test_series_edits.py::test_something_in_the_way_changes_nothing_and_the_preview_lists_it_all",
    ),
    Mutant(
        "a preview of a series edit takes it back",
        "services/scheduling/series_edits.py",
        "await tx.session.rollback()",
        "pass",
        f"{SCHEDULING}/test_series_edits.py::test_the_preview_counts_bookings_and_does_nothing",
    ),
    Mutant(
        "edits of a studio take turns with its generation",
        "services/scheduling/catalogue.py",
        "    await studios.lock(tx)\n    row = await get(tx, kind, resource_id)\n    check_etag",
        "    row = await get(tx, kind, resource_id)\n    check_etag",
        f"{SCHEDULING}/test_series_races.py::test_three_runs_with_edits_between_them",
    ),
    Mutant(
        "decisions about a conflict take turns",
        "services/scheduling/conflicts.py",
        "    decision.check()\n    await studios.lock(tx)",
        "    decision.check()",
        f"{SCHEDULING}/test_series_races.py::test_one_conflict_decided_by_many_at_once",
    ),
    Mutant(
        "a date that was skipped by hand stays out",
        "services/scheduling/conflicts.py",
        "        tx.session.add(\n            SkippedDate(",
        "        print(\n            SkippedDate(",
        f"{SCHEDULING}/test_conflicts.py::test_skipped_for_good",
    ),
    Mutant(
        "only a reason goes over availability, closures and size",
        "services/scheduling/conflicts.py",
        "    if forced:\n        return",
        "    if True:\n        return",
        f"{SCHEDULING}/test_conflicts.py::test_force_goes_over_availability_closures_and_size_and_nothing_else",
    ),
    Mutant(
        "a closure cancels only what it is told to",
        "services/scheduling/closures.py",
        "    if not cancel_class_sessions:",
        "    if False:",
        f"{SCHEDULING}/test_closures.py::test_over_planned_sessions_it_waits_until_told_to_cancel_them",
    ),
    Mutant(
        "instructors tell their own availability only",
        "services/scheduling/availability.py",
        "instructor is None or (account is not None and instructor.account_id != account)",
        "instructor is None",
        f"{SCHEDULING}/test_availability.py::test_instructors_tell_their_own_and_no_one_elses",
    ),
    Mutant(
        "a webhook is signed",
        "services/payments/providers/stripe_gateway.py",
        "if not any(self._signed(body, signature, secret) for secret in self._secrets):",
        "if False:",
        f"{PAYMENTS}/test_payment_webhooks.py::test_what_is_not_of_the_provider_is_refused[forged]",
    ),
    Mutant(
        "a signature from the future is refused",
        "services/payments/providers/stripe_gateway.py",
        "return made <= real_now().timestamp() + TOLERANCE",
        "return True",
        f"{PAYMENTS}/test_payment_webhooks.py::test_what_is_not_of_the_provider_is_refused[future]",
    ),
    Mutant(
        "a payment's webhook that comes again is stored once",
        "services/payments/provider_events.py",
        "ON CONFLICT DO NOTHING RETURNING external_account, external_id",
        "RETURNING external_account, external_id",
        f"{PAYMENTS}/test_payment_webhooks.py::test_what_comes_at_once_is_stored_once_each",
    ),
    Mutant(
        "an old signature is refused",
        "services/payments/providers/stripe_gateway.py",
        "verify_header(body, signature, secret, TOLERANCE)",
        "verify_header(body, signature, secret)",
        f"{PAYMENTS}/test_payment_webhooks.py::test_what_is_not_of_the_provider_is_refused[old]",
    ),
    Mutant(
        "two tabs start one payment",
        "services/payments/payments.py",
        "payment = await _open(tx, await purchases.lock(tx, purchase_id))",
        "payment = await _open(tx, await purchases.get(tx, purchase_id, account))",
        f"{PAYMENTS}/test_purchases.py::test_two_tabs_and_a_double_click_make_one_charge_and_one_grant",
    ),
    Mutant(
        "a payment is known by its name before its id has come",
        "services/payments/payments.py",
        "        ours |= (Payment.id == UUID(intent.reference)) & Payment.external_id.is_(None)",
        "        pass",
        f"{PAYMENTS}/test_crashes.py::test_a_server_dies_between_the_provider_and_us",
    ),
    Mutant(
        "the purchase is locked before a refund is weighed",
        "services/payments/refunds.py",
        "    purchase = await purchases.lock(tx, purchase_id)\n    shown = await preview",
        "    purchase = await purchases.get(tx, purchase_id, None)\n    shown = await preview",
        f"{PAYMENTS}/test_refunds.py::test_more_than_is_left_is_refused_also_at_once",
    ),
    Mutant(
        "refunds are not above what was paid",
        "services/payments/migrations/versions/0001_payments.py",
        "AND refunding_minor <= CASE state WHEN 'SUCCEEDED' THEN amount_minor ELSE 0 END)",
        ")",
        f"{PAYMENTS}/test_payments_tables.py::test_states_go_forward_and_amounts_stay"
        "[UPDATE payments SET refunding_minor = amount_minor + 1]",
    ),
    Mutant(
        "the ledger is append-only, for the administrator too",
        "services/payments/sql/keep_transfers_v1.sql",
        "BEFORE UPDATE OR DELETE ON transfers",
        "BEFORE UPDATE ON transfers",
        f"{PAYMENTS}/test_payments_tables.py::test_not_even_the_administrator_rewrites_a_transfer_or_receipt"
        "[DELETE FROM transfers]",
    ),
    Mutant(
        "the amount is the purchase's",
        "services/payments/payments.py",
        "if (intent.received_minor, intent.currency_code) != (payment.charged_minor, payment.currency_code):",
        "if False:",
        f"{PAYMENTS}/test_payment_webhooks.py::test_another_amount_than_the_purchase_costs_grants_nothing",
    ),
    Mutant(
        "the amount is the purchase's, also when many are booked together",
        "services/payments/successes.py",
        "if payment is not None and came_in == (payment.amount_minor, payment.currency_code):",
        "if payment is not None:",
        f"{PAYMENTS}/test_payment_webhooks.py::test_many_payments_of_two_studios_are_booked_once_each",
    ),
    Mutant(
        "booking knows a purchase by its id",
        "services/booking/sales.py",
        "if sale is not None:",
        "if False:",
        f"{PAYMENTS}/test_crashes.py::test_a_worker_dies[payments_after_grant]",
    ),
    Mutant(
        "the client is locked before a purchase is granted",
        "services/booking/sales.py",
        "    await lock_clients(tx, [client.id])\n",
        "",
        f"{BOOKING}/test_sales.py::test_a_purchase_becomes_one_package_however_often_it_is_told",
    ),
    Mutant(
        "booking knows a refund by its id",
        "services/booking/sales.py",
        """    if frozen is not None:
        return package
""",
        "",
        f"{PAYMENTS}/test_crashes.py::test_a_worker_dies[payments_after_freeze]",
    ),
    Mutant(
        "booking lets go of a place before its money goes back",
        "services/payments/refunding.py",
        "    if refund.releases_place and not await _release(work, tenant, refund):",
        "    if False:",
        f"{PAYMENTS}/test_paid_places.py::test_a_class_that_is_on_again[the money went back]",
    ),
    Mutant(
        "a client has only its own cards",
        "services/payments/rpc/payment_method_servicer.py",
        "buyer = await buyers.find(self._resources.stubs, current_call().tenant, client_id, only_own())",
        "buyer = await buyers.find(self._resources.stubs, current_call().tenant, client_id, None)",
        f"{PAYMENTS}/test_saved_cards.py::test_nobody_touches_the_cards_of_others",
    ),
    Mutant(
        "an old word of a fee does not undo a newer one",
        "services/payments/fees.py",
        "where=Fee.version < fee.version",
        "where=Fee.version > 0",
        f"{PAYMENTS}/test_charged_fees.py::test_a_fee_that_was_waived_before_we_heard_of_it",
    ),
    Mutant(
        "a refund is looked for before it is asked for again",
        "services/payments/refunding.py",
        "    if asked_before:",
        "    if False:",
        f"{PAYMENTS}/test_refunds.py::test_bad_weather_at_the_provider_makes_one_refund[done_then_500]",
    ),
    Mutant(
        "a refund that is told before its payment brings it along",
        "services/payments/refunding.py",
        "if made.intent and not made.reference else None",
        "if False else None",
        f"{PAYMENTS}/test_any_order.py",
    ),
    Mutant(
        "a promo code is locked before it is used",
        "services/payments/promo_codes.py",
        "(await tx.session.scalars(query.with_for_update() if lock else query)).one_or_none()",
        "(await tx.session.scalars(query)).one_or_none()",
        f"{PAYMENTS}/test_purchases.py::test_a_limited_code_holds_its_limit_and_comes_back",
    ),
    Mutant(
        "an interval of a membership costs what was agreed",
        "services/payments/membership_periods.py",
        "if invoice.total_minor != quote.total:",
        "if False:",
        f"{PAYMENTS}/test_memberships.py::test_an_interval_that_costs_something_else_grants_nothing",
    ),
    Mutant(
        "what has ended is not charged any more",
        "services/payments/membership_payments.py",
        'if membership.state == "ENDED":\n        for each',
        "if False:\n        for each",
        f"{PAYMENTS}/test_membership_changes.py::test_cancelling_what_is_drawn_up_or_past_due_charges_nothing_more",
    ),
    Mutant(
        "another plan costs what was shown",
        "services/payments/plan_changes.py",
        "if shown.due != due:",
        "if False:",
        f"{PAYMENTS}/test_membership_changes.py::test_a_dearer_plan_begins_at_once_and_costs_what_was_shown",
    ),
    Mutant(
        "a membership is its owner's",
        "services/payments/memberships.py",
        "if account is not None and (membership is None or membership.account_id != account):",
        "if False:",
        f"{PAYMENTS}/test_membership_changes.py::test_only_the_owner_of_a_membership_changes_it",
    ),
    Mutant(
        "a gift card is locked before it pays",
        "services/payments/gift_cards.py",
        "(tx.tenant, card_id), with_for_update=lock or None)",
        "(tx.tenant, card_id))",
        f"{PAYMENTS}/test_gift_cards.py::test_many_at_once_never_pay_more_than_is_left",
    ),
    Mutant(
        "guesses of a gift card are counted one by one",
        "services/payments/gift_cards.py",
        "(tx.tenant, client_id), with_for_update=True)",
        "(tx.tenant, client_id))",
        f"{PAYMENTS}/test_gift_cards.py::test_guessing_is_throttled_also_at_once",
    ),
    Mutant(
        "a payment has one receipt",
        "services/payments/migrations/versions/0004_receipts.py",
        "CREATE UNIQUE INDEX uq_receipts_purchase_id",
        "CREATE INDEX uq_receipts_purchase_id",
        f"{PAYMENTS}/test_payments_tables.py::test_a_payment_has_one_receipt",
    ),
    Mutant(
        "what no webhook brought is listed",
        "services/payments/reconciling.py",
        'found += await provider_events.store(tx, told, "LISTED")',
        "found += 0",
        f"{PAYMENTS}/test_reconciliation.py::test_a_fifth_of_the_webhooks_never_came",
    ),
    Mutant(
        "the Stripe sandbox: an account sees only what is its own",
        "embedded/sandboxes/stripe/store.py",
        'row = self.row("SELECT body FROM objects WHERE account = ? AND id = ?", account, identity)',
        'row = self.row("SELECT body FROM objects WHERE ? <> 1 AND id = ?", account, identity)',
        f"{EMBEDDED}/test_stripe_wire.py::test_accounts_see_only_what_is_theirs",
    ),
    Mutant(
        "the Stripe sandbox: one effect for one idempotency key",
        "embedded/sandboxes/stripe/server.py",
        'key = request.headers.get("idempotency-key") if method == "POST" else None',
        "key = None",
        f"{EMBEDDED}/test_stripe_wire.py::test_two_at_once_with_one_key",
    ),
    Mutant(
        "the Stripe sandbox: no more goes back than came in",
        "embedded/sandboxes/stripe/refunds.py",
        "if amount is not None and amount > rest:",
        "if False:",
        f"{EMBEDDED}/test_stripe_money.py::test_refunds_in_parts_until_nothing_is_left",
    ),
    Mutant(
        "that a provider is about to be called is committed before it is called",
        "services/notify/sending.py",
        "match await desk.notes.begin(sending, provider.name, words_hash):",
        "match Begun.YES:",
        f"{NOTIFY}/test_texts.py::test_dying_while_it_is_sent_it_is_looked_for",
    ),
    Mutant(
        "who lost the lease of a delivery calls nobody",
        "services/notify/handing_over.py",
        "AND d.lease_token = r.token\n    AND d.state IN ('pending', 'sending')",
        "AND d.state IN ('pending', 'sending')",
        f"{NOTIFY}/test_texts.py::test_who_lost_the_lease_calls_nobody",
    ),
    Mutant(
        "a call that was not made is not counted",
        "services/notify/migrations/versions/0005_uncounted_calls.py",
        "NEW.state IN ('sending', 'pending'))::int",
        "NEW.state = 'pending')::int",
        f"{NOTIFY}/test_sending.py::test_a_pause_of_the_provider_costs_no_call_of_what_it_may_have",
    ),
]


@pytest.fixture(scope="module")
def fresh_postgres_url() -> Iterator[str]:
    """A server of the mutants' own: what they leave in it is nobody's."""
    with temporary_var() as var, Postgres(var, settings=CARELESS).running() as server:
        yield server.url


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory, fresh_postgres_url: str) -> Iterator[CodeCopy]:
    with code_copy(tmp_path_factory.mktemp("mutants"), fresh_postgres_url) as made:
        yield made


# All take minutes: `make mutants` spoils all, `make test` every fourth and looks whether the others still could be.
CHOSEN = MUTANTS if os.environ.get("POWERHOUSE_ALL_MUTANTS") else MUTANTS[::4]


def test_each_mutant_finds_its_line_and_its_test() -> None:
    for mutant in MUTANTS:
        text = (ROOT / mutant.file).read_text(encoding="utf-8")
        assert text.count(mutant.old) == 1, f"{mutant.file} no longer has the line of {mutant.guard!r}"
        file, *names = mutant.test.split("::")
        tests = (ROOT / file).read_text(encoding="utf-8")
        for name in names:
            name = name.partition("[")[0]
            assert f"def {name}(" in tests or f"class {name}" in tests, f"there is no {mutant.test}"


@pytest.mark.parametrize("mutant", CHOSEN, ids=lambda mutant: mutant.guard.replace(" ", "-"))
async def test_a_missing_guard_is_noticed(mutant: Mutant, copy: CodeCopy, fresh_postgres_url: str) -> None:
    await drop_all_but_templates(fresh_postgres_url)
    with copy.replaced(mutant.file, mutant.old, mutant.new):
        code, said = copy.run(mutant.test)
    # 1: tests ran and failed. Anything else, an error at collection for one, proves nothing.
    assert code == 1, f"{mutant.test} did not turn red, but {code}:\n{said[-4000:]}"
    assert " failed" in said, said[-4000:]
