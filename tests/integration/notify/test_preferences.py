"""Preferences by gRPC: who may see and change them, what follows for sending, and what is kept of it."""

import asyncio
import json
from datetime import UTC, time, timedelta
from typing import Any
from uuid import uuid4

import grpc
import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from powerhouse.booking.v1.events_pb2 import ClientErased
from powerhouse.notify.v1 import preference_service_pb2 as pb
from powerhouse.notify.v1.notify_service_pb2 import Delivery
from services.chassis.clock import real_now
from services.chassis.ids import new_id
from services.chassis.messaging import inbox
from services.notify import preferences
from services.notify.consumers import consumers
from services.notify.links import LIFETIME, Links
from services.notify.models import Channel, Kind
from services.notify.quiet_hours import QuietHours
from tests.integration.notify.house import envelope_of
from tests.integration.notify.studio import Studio
from tests.support.services import fields_of, reason_of

Preferences = pb.Preferences
NO_SMS = Preferences.OptOut(channel=Delivery.SMS)
NO_REMINDER_MAILS = Preferences.OptOut(kind=Delivery.REMINDER, channel=Delivery.EMAIL)


async def test_who_has_said_nothing_is_sent_everything(studio: Studio) -> None:
    shown = await studio.shown()
    assert (list(shown.opt_outs), shown.HasField("quiet_hours"), shown.etag) == ([], False, "0")
    assert shown.effective_time_zone == "Europe/Berlin"
    loaded = await studio.loaded()
    assert loaded == preferences.Preferences(zone="Europe/Berlin")
    assert not any(loaded.refusal(kind, channel) for kind in Kind for channel in Channel)


async def test_what_a_client_wants_is_what_sending_sees(studio: Studio) -> None:
    quiet = Preferences.QuietHours(start="22:00", end="08:00")
    offsets = [Preferences.Offsets(channel=Delivery.SMS, minutes=[60, 180])]
    changed = await studio.change(
        studio.client(),
        opt_outs=[NO_SMS, NO_REMINDER_MAILS],
        quiet_hours=quiet,
        offsets=offsets,
        time_zone="America/New_York",
        language="de",
    )
    assert await studio.shown() == changed
    loaded = await studio.loaded()
    assert loaded.refusal(Kind.CLASS_CANCELLED, Channel.SMS) == "SMS skipped - client preference"
    assert loaded.refusal(Kind.REMINDER, Channel.EMAIL) == "E-mail skipped - client preference"
    assert loaded.refusal(Kind.CLASS_CANCELLED, Channel.EMAIL) is None
    # Not about the studio's classes, so not to be chosen.
    assert loaded.refusal(Kind.PASSWORD_RESET, Channel.SMS) is None
    assert loaded.quiet == QuietHours(time(22), time(8))
    assert (loaded.zone, loaded.offsets, loaded.language) == ("America/New_York", {Channel.SMS: (180, 60)}, "de")


async def test_each_opt_out_and_each_one_taken_back_is_kept_with_its_source(studio: Studio) -> None:
    await studio.change(studio.client(), opt_outs=[NO_SMS])
    await studio.change(opt_outs=[NO_REMINDER_MAILS])
    told = [(c.kind, c.channel, c.granted, c.source) for c in await studio.consents()]
    assert told[-1] == (Delivery.KIND_UNSPECIFIED, Delivery.SMS, False, pb.Consent.CLIENT)
    assert set(told[:2]) == {
        (Delivery.KIND_UNSPECIFIED, Delivery.SMS, True, pb.Consent.STAFF),
        (Delivery.REMINDER, Delivery.EMAIL, False, pb.Consent.STAFF),
    }
    for statement in ("UPDATE consents SET granted = true", "DELETE FROM consents"):
        async with studio.notify.resources.database.transaction(studio.id) as tx:
            with pytest.raises(ProgrammingError, match="permission denied"):
                await tx.session.execute(text(statement))
            await tx.session.rollback()


async def test_what_was_signed_on_paper_holds_unless_something_was_said_later(studio: Studio) -> None:
    now = studio.notify.mesh.clock.now()
    made = await studio.consent(now - timedelta(days=9), granted=False, kind=Delivery.REMINDER, channel=Delivery.EMAIL)
    assert (made.source, made.granted, made.kind, made.principal.partition("/")[0]) == (
        pb.Consent.PAPER,
        False,
        Delivery.REMINDER,
        "accounts",
    )
    assert made.time.ToDatetime(tzinfo=UTC) == now - timedelta(days=9)
    assert list((await studio.shown()).opt_outs) == [NO_REMINDER_MAILS]
    # The slip that says yes is the older one.
    await studio.consent(now - timedelta(days=10), granted=True, kind=Delivery.REMINDER, channel=Delivery.EMAIL)
    assert list((await studio.shown()).opt_outs) == [NO_REMINDER_MAILS]
    await studio.consent(now - timedelta(days=8), granted=True, kind=Delivery.REMINDER, channel=Delivery.EMAIL)
    assert not (await studio.shown()).opt_outs
    assert [each.granted for each in await studio.consents()] == [True, True, False]
    assert made in await studio.consents()
    [audited] = await studio.notify.sql(
        "SELECT changes FROM audit_entries WHERE resource = $1 AND method = 'CreateConsent'", made.name
    )
    assert json.loads(audited["changes"]) == {"opt_outs": [[], ["reminder/email"]]}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kind": Delivery.INVITATION}, "KIND_NOT_OPTIONAL"),
        ({"ago": -timedelta(minutes=5)}, "TIME_IN_FUTURE"),
        ({"channel": Delivery.CHANNEL_UNSPECIFIED}, "INVALID_FIELD"),
        ({"source": pb.Consent.LINK}, "INVALID_FIELD"),
    ],
)
async def test_a_slip_of_nonsense_is_refused_by_name(studio: Studio, fields: dict[str, Any], reason: str) -> None:
    at = studio.notify.mesh.clock.now() - fields.pop("ago", timedelta())
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await studio.consent(at, **{"channel": Delivery.SMS, **fields})
    assert reason_of(refusal.value) == reason
    assert fields_of(refusal.value)[0].startswith("consent.")


async def test_others_clients_are_not_there(studio: Studio) -> None:
    stranger = studio.client(new_id())
    for name in (studio.resource, f"{studio.name}/clients/{new_id()}/preferences"):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await stranger.GetPreferences(pb.GetPreferencesRequest(name=name))
        assert refusal.value.code() == grpc.StatusCode.PERMISSION_DENIED
        wanted = Preferences(name=name, opt_outs=[NO_SMS])
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await stranger.UpdatePreferences(pb.UpdatePreferencesRequest(preferences=wanted, request_id=uuid4().hex))
        assert refusal.value.code() == grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await studio.staff().GetPreferences(
            pb.GetPreferencesRequest(name=f"{studio.name}/clients/{new_id()}/preferences")
        )
    assert refusal.value.code() == grpc.StatusCode.NOT_FOUND
    for stub, client in ((stranger, studio.client_id), (studio.staff(), new_id())):
        with pytest.raises(grpc.aio.AioRpcError) as refusal:
            await studio.consent(real_now(), stub, client, channel=Delivery.SMS)
        assert refusal.value.code() in (grpc.StatusCode.PERMISSION_DENIED, grpc.StatusCode.NOT_FOUND)
    assert not (await studio.shown()).opt_outs


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"time_zone": "Mars/Olympus"}, "UNKNOWN_TIME_ZONE"),
        ({"language": "tlh"}, "UNKNOWN_LANGUAGE"),
        ({"opt_outs": [Preferences.OptOut(kind=Delivery.INVITATION, channel=Delivery.EMAIL)]}, "KIND_NOT_OPTIONAL"),
        ({"opt_outs": [Preferences.OptOut(kind=Delivery.REMINDER)]}, "INVALID_FIELD"),
        ({"quiet_hours": Preferences.QuietHours(start="8:00", end="24:00")}, "INVALID_FIELD"),
        ({"quiet_hours": Preferences.QuietHours(start="08:00", end="08:00")}, "INVALID_FIELD"),
        ({"offsets": [Preferences.Offsets(channel=Delivery.SMS, minutes=[0])]}, "INVALID_FIELD"),
        ({"offsets": [Preferences.Offsets(channel=Delivery.SMS, minutes=[60])] * 2}, "INVALID_FIELD"),
    ],
)
async def test_nonsense_is_refused_by_name(studio: Studio, fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await studio.change(**fields)
    assert reason_of(refusal.value) == reason
    assert fields_of(refusal.value)[0].startswith("preferences.")


async def test_of_two_who_change_at_once_one_reads_again(studio: Studio) -> None:
    answers = await asyncio.gather(
        *(studio.change(etag="0", language=language) for language in ("de", "en")), return_exceptions=True
    )
    [refusal] = [answer for answer in answers if isinstance(answer, grpc.aio.AioRpcError)]
    assert reason_of(refusal) == "ETAG_MISMATCH"
    assert (await studio.shown()).etag == "1"


async def test_a_link_opens_and_saves_without_signing_in(studio: Studio) -> None:
    token, anyone = studio.token(None), studio.anyone()
    opened = await anyone.OpenPreferences(pb.OpenPreferencesRequest(token=token))
    assert (opened.studio_display_name, opened.preferences.name) == ("Kiez Pilates", studio.resource)
    assert Delivery.REMINDER in opened.kinds
    assert Delivery.INVITATION not in opened.kinds
    wanted = Preferences(opt_outs=[NO_SMS], etag=opened.preferences.etag)
    saved = await anyone.SavePreferences(pb.SavePreferencesRequest(token=token, preferences=wanted))
    assert await studio.shown() == saved
    [consent] = await studio.consents()
    assert (consent.source, consent.principal, consent.granted) == (pb.Consent.LINK, "anonymous", False)
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await anyone.SavePreferences(pb.SavePreferencesRequest(token=token, preferences=wanted))
    assert reason_of(refusal.value) == "ETAG_MISMATCH"
    audit = await studio.notify.sql("SELECT * FROM audit_entries WHERE tenant_id = $1", studio.id)
    assert [(row["method"], row["resource"]) for row in audit] == [("SavePreferences", studio.resource)]


async def _refused(call: Any) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    return reason_of(refusal.value)


async def test_an_expired_link_says_so_and_does_nothing(studio: Studio) -> None:
    token, anyone = studio.token(age=LIFETIME + timedelta(seconds=1)), studio.anyone()
    assert await _refused(anyone.OpenPreferences(pb.OpenPreferencesRequest(token=token))) == "LINK_EXPIRED"
    assert await _refused(anyone.ShowUnsubscribe(pb.ShowUnsubscribeRequest(token=token))) == "LINK_EXPIRED"
    assert await _refused(anyone.Unsubscribe(pb.UnsubscribeRequest(token=token))) == "LINK_EXPIRED"
    wanted = Preferences(opt_outs=[NO_SMS])
    save = pb.SavePreferencesRequest(token=token, preferences=wanted)
    assert await _refused(anyone.SavePreferences(save)) == "LINK_EXPIRED"
    assert not (await studio.shown()).opt_outs


async def test_a_link_that_was_not_signed_here_is_refused(studio: Studio) -> None:
    anyone, honest = studio.anyone(), studio.token()
    forged = Links("another secret of thirty-two characters").token(
        studio.id, studio.client_id, Kind.REMINDER, "en", real_now()
    )
    swapped = ("B" if honest[5] == "A" else "A").join((honest[:5], honest[6:]))
    for token in (forged, swapped, honest[:-4], honest + "AAAA", "ä", "x" * 200):
        assert await _refused(anyone.Unsubscribe(pb.UnsubscribeRequest(token=token))) == "LINK_INVALID"
    assert not (await studio.shown()).opt_outs


async def test_a_link_of_one_studio_reaches_no_other(studio: Studio) -> None:
    """The same client id, were it known at two studios, stays two people."""
    other = studio.links.token(new_id(), studio.client_id, Kind.REMINDER, "en", real_now())
    await studio.anyone().Unsubscribe(pb.UnsubscribeRequest(token=other))
    assert not (await studio.shown()).opt_outs
    # Somebody else's studio put into an honest token spoils its signature.
    head, tail = studio.token(), other
    assert await _refused(studio.anyone().Unsubscribe(pb.UnsubscribeRequest(token=tail[:20] + head[20:]))) == (
        "LINK_INVALID"
    )


async def test_clicks_at_the_same_time_are_all_kept(studio: Studio) -> None:
    kinds = [Kind.REMINDER, Kind.RECEIPT, Kind.FEE_DUE, Kind.CLASS_CHANGED]
    anyone = studio.anyone()
    tokens = [studio.token(kind) for kind in kinds for _ in range(3)]
    await asyncio.gather(*(anyone.Unsubscribe(pb.UnsubscribeRequest(token=token)) for token in tokens))
    loaded = await studio.loaded()
    assert all(loaded.refusal(kind, Channel.EMAIL) for kind in kinds)
    assert len(await studio.consents()) == len(kinds)


async def test_looking_at_the_page_unsubscribes_nobody(studio: Studio) -> None:
    page = await studio.anyone().ShowUnsubscribe(pb.ShowUnsubscribeRequest(token=studio.token()))
    assert b"<button>Unsubscribe</button>" in page.data
    assert b"reminders" in page.data
    german = await studio.anyone().ShowUnsubscribe(pb.ShowUnsubscribeRequest(token=studio.token(language="de-AT")))
    assert "<button>Abbestellen</button>" in german.data.decode()
    assert not (await studio.shown()).opt_outs


async def test_one_click_ends_mails_of_its_kind_alone(studio: Studio) -> None:
    for _ in range(2):
        page = await studio.anyone().Unsubscribe(pb.UnsubscribeRequest(token=studio.token()))
        assert b"You are unsubscribed" in page.data
    loaded = await studio.loaded()
    assert loaded.refusal(Kind.REMINDER, Channel.EMAIL) == "E-mail skipped - client preference"
    assert loaded.refusal(Kind.REMINDER, Channel.SMS) is None
    assert loaded.refusal(Kind.CLASS_CANCELLED, Channel.EMAIL) is None
    [consent] = await studio.consents()
    assert (consent.source, consent.kind) == (pb.Consent.UNSUBSCRIBE, Delivery.REMINDER)


async def test_what_an_erased_person_wanted_is_forgotten(studio: Studio) -> None:
    await studio.change(opt_outs=[NO_SMS], language="de")
    erased = envelope_of(ClientErased(client_id=str(studio.client_id)), studio.id)
    await inbox.apply(studio.notify.resources.database, consumers, [erased])
    shown = await studio.shown()
    assert (list(shown.opt_outs), shown.language, shown.etag) == ([], "", "0")
    [kept] = await studio.consents()
    assert not kept.granted
