"""What stands around a studio's messages, as sending takes it."""

from dataclasses import replace
from datetime import timedelta

from powerhouse.notify.v1 import preference_service_pb2 as pb
from services.chassis.clock import real_now
from services.notify import stationery, unsubscribe
from services.notify.models import Kind
from services.notify.stationery import Stationery, Wayout
from services.notify.template_variables import sample
from tests.integration.notify.studio import Studio

MAIL_FROM = "Powerhouse <studio@powerhouse.example>"
VALUES = sample(Kind.REMINDER, "en")


async def loaded(studio: Studio) -> Stationery:
    async with studio.notify.resources.database.transaction(studio.id) as tx:
        return await stationery.load(tx, MAIL_FROM)


def wayout(studio: Studio, since: timedelta = timedelta()) -> Wayout:
    return Wayout(studio.links, "https://studio.example", studio.client_id, real_now() - since)


async def test_a_mail_to_a_client_has_a_way_out_that_works(studio: Studio) -> None:
    paper = await loaded(studio)
    words, headers = paper.mail(Kind.REMINDER, VALUES, "en", wayout(studio))
    link = headers["List-Unsubscribe"].strip("<>")
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert link in words.html
    assert link in words.text
    assert "Kiez Pilates" in words.html
    token = link.rpartition("/")[2]
    assert unsubscribe.preferences_link("https://studio.example", token) in words.text
    await studio.anyone().Unsubscribe(pb.UnsubscribeRequest(token=token))
    assert (await studio.shown()).opt_outs


async def test_a_second_attempt_repeats_the_first_to_the_letter(studio: Studio) -> None:
    since = real_now()
    out = replace(wayout(studio), since=since)
    first = (await loaded(studio)).mail(Kind.REMINDER, VALUES, "de", out)
    assert (await loaded(studio)).mail(Kind.REMINDER, VALUES, "de", out) == first


async def test_who_is_no_client_is_offered_no_way_out(studio: Studio) -> None:
    paper = await loaded(studio)
    for kind, out in ((Kind.INVITATION, wayout(studio)), (Kind.REMINDER, None)):
        words, headers = paper.mail(kind, sample(kind, "en"), "en", out)
        assert headers == {}
        assert "unsubscribe" not in words.html + words.text


async def test_answers_go_where_the_studio_wants_them(studio: Studio) -> None:
    paper = await loaded(studio)
    answering = replace(paper, brand=replace(paper.brand, reply_to="team@kiez.example"))
    _, headers = answering.mail(Kind.INVITATION, sample(Kind.INVITATION, "en"), "en", None)
    assert headers == {"Reply-To": "team@kiez.example"}
