"""Reminders: planned, moved, dropped and armed as bookings come and go; each sent once, on time, or with its reason."""

import json
import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest

from powerhouse.booking.v1 import booking_service_pb2
from powerhouse.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from powerhouse.notify.v1 import notify_service_pb2 as pb
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from services.chassis.messaging.envelope import COLUMNS, Envelope
from services.notify import preferences
from services.notify.preferences import Preferences
from services.notify.quiet_hours import QuietHours
from tests.integration.notify.desk import ZONE, Desk, id_of
from tests.integration.notify.house import new_email
from tests.integration.notify.phones import Phones

DAY = timedelta(days=1)


def told(rows: list[Any]) -> list[tuple[str, int, str, str]]:
    return [(row["channel"], row["offset_minutes"], row["state"], row["reason"]) for row in rows]


async def mails(desk: Desk, email: str) -> list[Any]:
    """What was sent to an address, the first first."""
    return list(reversed(await desk.post.mails(email)))


async def until(desk: Desk, instant: datetime) -> None:
    """Time passes, and what is due is sent."""
    clock = desk.booking.mesh.clock
    clock.move(instant - clock.now())
    await desk.post.work_off()


async def test_a_place_is_reminded_of_the_day_before_and_two_hours_before(desk: Desk, phones: Phones) -> None:
    email = new_email()
    booking = await desk.book(email, phone=desk.phone)
    await desk.carry_all()
    rows = await desk.reminders(booking)
    assert told(rows) == [("email", 1440, "pending", ""), ("sms", 1440, "pending", ""), ("sms", 120, "pending", "")]
    assert rows[0]["due_time"].astimezone(ZONE).replace(tzinfo=None) == (desk.start - DAY).replace(tzinfo=None)
    assert rows[2]["due_time"] == desk.start - timedelta(hours=2)
    await until(desk, rows[0]["due_time"] - timedelta(seconds=1))
    assert not phones.texts(desk.phone)
    await until(desk, rows[0]["due_time"])
    assert [mail["subject"].split(":")[0] for mail in await mails(desk, email)] == ["You are booked", "Reminder"]
    assert len(phones.texts(desk.phone)) == 1
    await until(desk, rows[2]["due_time"])
    await until(desk, desk.start + DAY)
    assert len(phones.texts(desk.phone)) == 2
    assert len(await desk.post.mails(email)) == 2
    assert {row["state"] for row in await desk.reminders(booking)} == {"accepted"}
    [shown] = [each for each in await desk.post.listed(booking=booking.name) if each.offset_minutes == 120]
    assert [step.what for step in shown.story] == ["planned", "sending", "accepted"]
    assert shown.channel == pb.Delivery.SMS
    assert shown.provider_message_id in phones.ids


async def test_booked_inside_an_offset_there_is_no_stale_reminder(desk: Desk, phones: Phones) -> None:
    desk.booking.mesh.clock.move(desk.start - timedelta(hours=20) - desk.booking.mesh.clock.now())
    booking = await desk.book(new_email(), phone=desk.phone)
    await desk.carry_all()
    assert told(await desk.reminders(booking)) == [("sms", 120, "pending", "")]


async def test_news_that_comes_late_still_reminds(desk: Desk, phones: Phones) -> None:
    booking = await desk.book(new_email(), phone=desk.phone)
    await until(desk, desk.start - timedelta(hours=23))
    await desk.carry_all()
    await desk.post.work_off()
    assert [row["state"] for row in await desk.reminders(booking)] == ["accepted", "accepted", "pending"]
    # Not for a class that has begun.
    other = await desk.book(new_email(), phone=desk.phone)
    await until(desk, desk.start)
    await desk.carry_all()
    assert not await desk.reminders(other)


async def test_a_move_makes_new_reminders_and_drops_the_old(desk: Desk, phones: Phones) -> None:
    booking = await desk.book(new_email(), phone=desk.phone)
    await desk.carry_all()
    await until(desk, desk.start - DAY)
    assert len(phones.texts(desk.phone)) == 1
    await desk.move(2, desk.start + 2 * DAY, 2)
    await desk.carry_all()
    rows = await desk.reminders(booking)
    assert told(rows) == [
        ("email", 1440, "accepted", ""),
        ("sms", 1440, "accepted", ""),
        ("sms", 120, "skipped", "the class has moved"),
        ("email", 1440, "pending", ""),
        ("sms", 1440, "pending", ""),
        ("sms", 120, "pending", ""),
    ]
    await until(desk, desk.start - DAY)
    await until(desk, desk.start - timedelta(hours=2))
    # Of the day before each start, and of two hours before the one that was.
    assert len([text for text in phones.texts(desk.phone) if "Reminder" in text]) == 3


async def test_a_cancelled_booking_is_not_reminded(desk: Desk, phones: Phones) -> None:
    email = new_email()
    booking = await desk.book(email, phone=desk.phone)
    await desk.carry_all()
    await desk.cancel(booking)
    await desk.carry_all()
    assert {(row["state"], row["reason"]) for row in await desk.reminders(booking)} == {
        ("skipped", "the booking does not hold a place any more")
    }
    await until(desk, desk.start)
    assert not phones.texts(desk.phone)


async def test_what_is_stale_when_it_is_due_is_skipped(desk: Desk, phones: Phones) -> None:
    """The event of the cancellation is still on its way."""
    booking = await desk.book(new_email(), phone=desk.phone)
    moved = await desk.book(new_email(), phone=desk.phone)
    await desk.carry_all()
    await desk.cancel(booking)
    await desk.move(2, desk.start + timedelta(hours=1), 2)
    await until(desk, desk.start - timedelta(hours=3))
    assert {row["reason"] for row in (await desk.reminders(booking))[:2]} == {"the booking is cancelled early"}
    assert {row["reason"] for row in (await desk.reminders(moved))[:2]} == {"the class has moved"}
    assert not phones.texts(desk.phone)


async def test_a_class_that_is_on_again_reminds_again(desk: Desk, phones: Phones) -> None:
    booking = await desk.book(new_email(), phone=desk.phone)
    await desk.carry_all()
    await desk.announce(2, cancelled=True)
    await desk.carry_all()
    assert {row["state"] for row in await desk.reminders(booking)} == {"skipped"}
    await desk.announce(3)
    await desk.carry_all()
    rows = await desk.reminders(booking)
    assert {row["state"] for row in rows} == {"pending"}
    assert [step["what"] for step in json.loads(rows[0]["story"])] == ["planned", "skipped", "armed"]
    await until(desk, desk.start - DAY)
    await until(desk, desk.start - timedelta(hours=2))
    assert len([text for text in phones.texts(desk.phone) if "Reminder" in text]) == 2


async def test_on_again_too_late_it_does_not_remind_of_yesterday(desk: Desk, phones: Phones) -> None:
    booking = await desk.book(new_email(), phone=desk.phone)
    await desk.carry_all()
    await desk.announce(2, cancelled=True)
    await desk.carry_all()
    await until(desk, desk.start - timedelta(hours=5))
    await desk.announce(3)
    await desk.carry_all()
    assert [row["state"] for row in await desk.reminders(booking)] == ["skipped", "skipped", "pending"]


@pytest.mark.parametrize("seed", range(4))
async def test_doubled_and_shuffled_news_lead_to_the_same_reminders(desk: Desk, seed: int) -> None:
    booking = await desk.book(new_email(), phone=desk.phone)
    await desk.announce(2, cancelled=True)
    await desk.announce(3)
    await desk.move(4, desk.start + DAY, 2)
    rows = await desk.booking.sql(
        f"SELECT {COLUMNS} FROM outbox WHERE aggregate_id = $1 ORDER BY version", id_of(booking)
    )
    assert len(rows) == 4
    news = [Envelope.of_row(row) for row in rows]
    dice = random.Random(seed)
    mixed = [*news, *(replace(envelope, event_id=str(new_id())) for envelope in news)]
    dice.shuffle(mixed)
    for envelope in mixed:
        await desk.post.apply([envelope])
    kept = [row for row in await desk.reminders(booking) if row["state"] == "pending"]
    assert [(row["channel"], row["offset_minutes"], row["time_version"]) for row in kept] == [
        ("email", 1440, 2),
        ("sms", 1440, 2),
        ("sms", 120, 2),
    ]


async def test_a_substitute_is_told_once_and_reminds_nobody_twice(desk: Desk, phones: Phones) -> None:
    email = new_email()
    booking = await desk.book(email, phone=desk.phone)
    await desk.carry_all()
    desk.facts |= {"instructor_id": str(new_id()), "instructor_display_name": "Ines Roth"}
    await desk.announce(2)
    await desk.carry_all()
    await desk.carry_all()
    await desk.post.work_off()
    assert len(await desk.reminders(booking)) == 3
    sent = await mails(desk, email)
    assert sorted(mail["subject"].split(":")[0] for mail in sent) == ["Changed", "You are booked"]
    assert "Ines Roth" in sent[1]["text"]
    assert not phones.texts(desk.phone)


async def test_a_cancelled_class_is_told_once_by_mail_and_text(desk: Desk, phones: Phones) -> None:
    email = new_email()
    await desk.book(email, phone=desk.phone)
    await desk.carry_all()
    await desk.post.work_off()
    await desk.announce(2, cancelled=True)
    await desk.carry_all()
    await desk.post.work_off()
    assert (await mails(desk, email))[1]["subject"].startswith("Cancelled:")
    assert [text.split(":")[1] for text in phones.texts(desk.phone)] == [" Cancelled"]


async def test_the_newest_change_speaks_for_all(desk: Desk, phones: Phones) -> None:
    booking = await desk.book(new_email(), phone=desk.phone)
    await desk.carry_all()
    await desk.post.work_off()
    await desk.move(2, desk.start + timedelta(hours=1), 2)
    await desk.move(3, desk.start + timedelta(hours=1), 3)
    await desk.announce(4, time_version=3, cancelled=True)
    rows = await desk.booking.sql(
        f"SELECT {COLUMNS} FROM outbox WHERE aggregate_id = $1 ORDER BY version", desk.class_session
    )
    first, second, third = [Envelope.of_row(row) for row in rows]
    await desk.post.apply([second])
    await desk.post.apply([first])
    planned = "SELECT DISTINCT time_version FROM deliveries WHERE kind = 'class_changed' AND subject_id = $1"
    assert [row["time_version"] for row in await desk.post.notify.sql(planned, id_of(booking))] == [3]
    await desk.post.apply([third])
    await desk.post.work_off()
    assert [text.split(":")[1] for text in phones.texts(desk.phone)] == [" Cancelled"]
    assert {
        row["reason"]
        for row in await desk.post.notify.sql(
            "SELECT reason FROM deliveries WHERE kind = 'class_changed' AND subject_id = $1", id_of(booking)
        )
    } == {"told with a later change"}


async def _rule(desk: Desk, **terms: Any) -> None:
    """Changes the studio's terms; and nobody is asleep there at the hour at which the tests run."""
    owner = desk.booking.as_account(BookingServiceStub, roles={desk.post.studio: [Role.ROLE_OWNER]})
    terms |= {"quiet_start_minute": 0, "quiet_end_minute": 0}
    await owner.UpdateBookingPolicy(
        booking_service_pb2.UpdateBookingPolicyRequest(
            booking_policy={"name": f"{desk.post.name}/bookingPolicy", **terms},
            update_mask={"paths": sorted(terms)},
            request_id=uuid4().hex,
        )
    )


async def test_a_place_from_the_line_is_news_and_no_confirmation(desk: Desk) -> None:
    await _rule(desk)
    desk.facts |= {"capacity": 1, "spots": ["R1"]}
    await desk.announce(2)
    email = new_email()
    booking = await desk.book(new_email())
    entry = await desk.wait(email)
    await desk.cancel(booking)
    await desk.carry_all()
    await desk.post.work_off()
    [mail] = await desk.post.mails(email)
    assert mail["subject"].startswith("You are in:")
    [row] = await desk.booking.sql("SELECT booking_id FROM waitlist_entries WHERE id = $1", entry)
    kinds = await desk.post.notify.sql("SELECT kind, channel FROM deliveries WHERE subject_id = $1", row["booking_id"])
    assert sorted((each["kind"], each["channel"]) for each in kinds) == [
        ("reminder", "email"),
        ("reminder", "sms"),
        ("reminder", "sms"),
        ("waitlist_promoted", "email"),
        ("waitlist_promoted", "sms"),
    ]


async def test_an_offer_is_told_until_it_expires(desk: Desk) -> None:
    await _rule(desk, waitlist_mode="TIMED_OFFER", waitlist_offer_minutes=60)
    desk.facts |= {"capacity": 1, "spots": ["R1"]}
    await desk.announce(2)
    email = new_email()
    booking = await desk.book(new_email())
    entry = await desk.wait(email)
    await desk.cancel(booking)
    await desk.carry_all()
    rows = await desk.post.notify.sql("SELECT * FROM deliveries WHERE subject_id = $1 ORDER BY channel", entry)
    assert [(row["kind"], row["channel"], row["state"]) for row in rows] == [
        ("waitlist_offer", "email", "pending"),
        ("waitlist_offer", "sms", "pending"),
    ]
    assert rows[0]["useful_until"] - rows[0]["due_time"] == timedelta(hours=1)
    await desk.post.notify.sql("UPDATE deliveries SET due_at = due_at + interval '2 hours' WHERE channel = 'sms'")
    await desk.post.work_off()
    [mail] = await desk.post.mails(email)
    assert mail["subject"].startswith("A place is free")
    desk.booking.mesh.clock.move(timedelta(hours=3))
    await desk.post.work_off()
    [late] = await desk.post.notify.sql("SELECT * FROM deliveries WHERE subject_id = $1 AND channel = 'sms'", entry)
    assert (late["state"], late["reason"]) == ("skipped", "it would have come too late")


async def test_settings_change_what_is_planned(desk: Desk) -> None:
    booking = await desk.book(new_email(), phone=desk.phone)
    await desk.carry_all()
    owner = desk.post.staff(Role.ROLE_OWNER)
    name = f"{desk.post.name}/reminderSettings"
    before = await owner.GetReminderSettings(pb.GetReminderSettingsRequest(name=name))
    assert (list(before.offsets.email_minutes), list(before.offsets.sms_minutes)) == ([1440], [1440, 120])
    wanted = pb.ReminderSettings(name=name, offsets={"email_minutes": [60, 1440]}, etag=before.etag)
    after = await owner.UpdateReminderSettings(
        pb.UpdateReminderSettingsRequest(reminder_settings=wanted, request_id=uuid4().hex)
    )
    assert (list(after.offsets.email_minutes), list(after.offsets.sms_minutes)) == ([1440, 60], [])
    await desk.post.work_off()
    assert told(await desk.reminders(booking)) == [
        ("email", 1440, "pending", ""),
        ("sms", 1440, "skipped", "nobody is reminded then any more"),
        ("sms", 120, "skipped", "nobody is reminded then any more"),
        ("email", 60, "pending", ""),
    ]
    # A class type of its own.
    [row] = await desk.post.notify.sql("SELECT class_type_id FROM reminded_bookings WHERE id = $1", id_of(booking))
    kind = {
        "class_type": f"{desk.post.name}/classTypes/{row['class_type_id']}",
        "offsets": {"sms_minutes": [120]},
    }
    wanted = pb.ReminderSettings(name=name, class_types=[kind])
    await owner.UpdateReminderSettings(
        pb.UpdateReminderSettingsRequest(
            reminder_settings=wanted, update_mask={"paths": ["class_types"]}, request_id=uuid4().hex
        )
    )
    await desk.post.work_off()
    kept = [row for row in await desk.reminders(booking) if row["state"] == "pending"]
    assert [(row["channel"], row["offset_minutes"]) for row in kept] == [("sms", 120)]


async def test_a_class_type_has_reminders_of_its_own_before_anybody_has_booked_it(desk: Desk) -> None:
    async def remind(class_type: str) -> None:
        kind = {"class_type": f"{desk.post.name}/classTypes/{class_type}", "offsets": {"sms_minutes": [60]}}
        wanted = pb.ReminderSettings(name=f"{desk.post.name}/reminderSettings", class_types=[kind])
        await desk.post.staff(Role.ROLE_OWNER).UpdateReminderSettings(
            pb.UpdateReminderSettingsRequest(
                reminder_settings=wanted, update_mask={"paths": ["class_types"]}, request_id=uuid4().hex
            )
        )

    await remind(desk.facts["class_type_id"])
    booking = await desk.book(new_email(), phone=desk.phone)
    await desk.carry_all()
    assert told(await desk.reminders(booking)) == [("sms", 60, "pending", "")]
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await remind(str(uuid4()))
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND


async def test_quiet_hours_and_opt_outs_are_kept(desk: Desk, phones: Phones, monkeypatch: pytest.MonkeyPatch) -> None:
    """Asked when a reminder is planned, and again when it leaves."""
    wishes = Preferences()

    async def load(_tx: Any, client_ids: Any) -> Any:
        return dict.fromkeys(client_ids, wishes)

    monkeypatch.setattr(preferences, "load", load)
    booking = await desk.book(new_email(), phone=desk.phone)
    await desk.carry_all()
    start = desk.start.astimezone(ZONE)
    before = (start - timedelta(hours=3)).time()
    after = (start - timedelta(hours=1)).time()
    wishes = Preferences(opt_outs=frozenset({"reminder/email"}), quiet=QuietHours(before, after), zone=ZONE.key)
    await until(desk, desk.start - DAY)
    mail, text, _ = await desk.reminders(booking)
    assert (mail["state"], mail["reason"]) == ("skipped", "E-mail skipped - client preference")
    assert text["state"] == "accepted"
    await until(desk, desk.start - timedelta(hours=2))
    assert len(phones.texts(desk.phone)) == 1
    *_, late = await desk.reminders(booking)
    assert (late["state"], late["due_at"]) == ("pending", desk.start - timedelta(hours=1))
    await until(desk, desk.start - timedelta(hours=1))
    assert len(phones.texts(desk.phone)) == 2
    # Such quiet hours that the text is of no use after them: before them, or never.
    wishes = Preferences(quiet=QuietHours(before, (start + timedelta(hours=1)).time()), zone=ZONE.key)
    desk.start += 3 * DAY
    await desk.announce(2, time_version=2)
    await desk.carry_all()
    *_, early = await desk.reminders(booking)
    assert early["due_at"] < desk.start - timedelta(hours=3) < early["due_time"]


async def test_where_no_browser_listens_no_push_is_planned_and_no_mail_instead(desk: Desk) -> None:
    email = new_email()
    booking = await desk.book(email)
    await desk.carry_all()
    name = f"{desk.post.name}/reminderSettings"
    wanted = pb.ReminderSettings(name=name, offsets=pb.ReminderSettings.Offsets(push_minutes=[60]))
    request = pb.UpdateReminderSettingsRequest(reminder_settings=wanted, request_id=uuid4().hex)
    await desk.post.staff(Role.ROLE_OWNER).UpdateReminderSettings(request)
    await desk.post.work_off()
    await until(desk, desk.start - timedelta(hours=1))
    assert "push" not in {row["channel"] for row in await desk.reminders(booking)}
    assert [mail["subject"].split(":")[0] for mail in await mails(desk, email)] == ["You are booked"]
