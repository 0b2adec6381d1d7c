"""Owners read what a generation of classes has planned and what it could not: once per run, and only news."""

from typing import Any

from powerhouse.scheduling.v1.events_pb2 import GenerationRunFinished
from services.chassis.ids import new_id
from services.chassis.messaging.envelope import Envelope
from services.notify import senders
from tests.integration.notify.house import Post, envelope_of
from tests.integration.notify.test_alerts import owner_of


def finished(post: Post, **counts: Any) -> Envelope:
    """What scheduling tells when a run is over."""
    event = GenerationRunFinished(generation_run_id=str(new_id()), cause="WEEKLY", schedule_count=3, **counts)
    return envelope_of(event, post.studio)


async def test_each_owner_reads_once_what_was_planned_and_what_was_not(post: Post) -> None:
    async with post.notify.resources.database.transaction(post.studio) as tx:
        await senders.put_studio(tx, version=1, display_name="Kiez Pilates", time_zone="Europe/Berlin")
    owners = [await owner_of(post) for _ in range(2)]
    clash = GenerationRunFinished.Conflict(
        class_schedule_display_name="Flow <b>", local_start="2026-11-23T10:00", message="Room is taken"
    )
    unserved = GenerationRunFinished.Unserved(
        class_schedule_display_name="Mat", message="Cannot generate classes - Room deleted. Update schedule."
    )
    run = finished(
        post,
        created_count=11,
        conflict_count=3,
        skipped_count=2,
        attention_count=1,
        conflicts=[clash],
        unserved=[unserved],
    )
    await post.apply([run, run])
    await post.apply([run])
    await post.work_off()
    for owner in owners:
        [mail] = await post.mails(owner)
        assert mail["from"].startswith("Kiez Pilates <")
        assert mail["subject"] == "Classes planned: 11 made, 3 conflicts"
        for line in (
            "Flow <b>, Mon 23 Nov, 10:00: Room is taken\n+ 2 more\n",
            "Mat: Cannot generate classes - Room deleted. Update schedule.\n",
            "Skipped:       2\n",
        ):
            assert line in mail["text"]
        assert "Flow &lt;b&gt;, Mon 23 Nov, 10:00: Room is taken</li>" in mail["html"]
        assert "List-Unsubscribe" not in mail["headers"]


async def test_without_news_nobody_is_written_to(post: Post) -> None:
    """What exists already and what is closed is no news."""
    owner = await owner_of(post)
    await post.apply([finished(post, existing_count=12, skipped_count=2)])
    await post.work_off()
    assert await post.mails(owner) == []
