"""Addresses that must not be written to: what a number or an address said by itself, or the provider found out."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from services.chassis.db.unit_of_work import UnitOfWork
from services.chassis.ids import new_id
from services.notify import consent, suppressions
from services.notify.consent import Source
from services.notify.models import Channel
from services.notify.suppressions import Reason
from tests.integration.notify.studio import Studio

NUMBER, MAIL = "+4915112345678", "ann@example.test"


@asynccontextmanager
async def within(studio: Studio) -> AsyncIterator[UnitOfWork]:
    async with studio.notify.resources.database.transaction(studio.id) as tx:
        yield tx


async def test_stop_silences_a_number_at_its_studio_until_start(studio: Studio) -> None:
    async with within(studio) as tx:
        now = tx.now()
        await consent.record(tx, channel=Channel.SMS, address=NUMBER, granted=False, source=Source.STOP, at=now)
        assert await suppressions.find(tx, [(Channel.SMS, NUMBER), (Channel.SMS, "+4915100000000")]) == {
            (Channel.SMS, NUMBER): "SMS skipped - the number has sent STOP"
        }
        assert await suppressions.find(tx, [(Channel.EMAIL, NUMBER)]) == {}
    other = Studio(studio.booking, studio.notify)
    async with within(other) as tx:
        assert await suppressions.find(tx, [(Channel.SMS, NUMBER)]) == {}
    async with within(studio) as tx:
        later = now + timedelta(seconds=1)
        await consent.record(tx, channel=Channel.SMS, address=NUMBER, granted=True, source=Source.START, at=later)
        assert await suppressions.find(tx, [(Channel.SMS, NUMBER)]) == {}


async def test_of_stop_and_start_the_later_word_holds_in_whatever_order_they_arrive(studio: Studio) -> None:
    async with within(studio) as tx:
        words = [
            (tx.now(), False),
            (tx.now() + timedelta(seconds=1), True),
            (tx.now() + timedelta(seconds=2), False),
        ]
        for order in itertools.permutations(words):
            number = f"+49{str(new_id().int)[-11:]}"
            for at, granted in order:
                source = Source.START if granted else Source.STOP
                await consent.record(tx, channel=Channel.SMS, address=number, granted=granted, source=source, at=at)
            assert (Channel.SMS, number) in await suppressions.find(tx, [(Channel.SMS, number)])


async def test_start_does_not_cure_a_bounce_nor_a_complaint(studio: Studio) -> None:
    async with within(studio) as tx:
        await suppressions.put(tx, Channel.EMAIL, MAIL, Reason.BOUNCED, at=tx.now())
        later = tx.now() + timedelta(days=1)
        await consent.record(tx, channel=Channel.EMAIL, address=MAIL, granted=True, source=Source.START, at=later)
        spellings = [(Channel.EMAIL, " ANN@example.test"), (Channel.EMAIL, MAIL)]
        why = "E-mail skipped - an earlier one bounced"
        assert await suppressions.find(tx, spellings) == dict.fromkeys(spellings, why)
        await consent.record(tx, channel=Channel.EMAIL, address=MAIL, granted=False, source=Source.COMPLAINT, at=later)
        [why] = (await suppressions.find(tx, [(Channel.EMAIL, MAIL)])).values()
        assert why == "E-mail skipped - the reader called an earlier one spam"


@pytest.mark.parametrize("address", [NUMBER, MAIL])
async def test_no_address_is_written_down(studio: Studio, address: str) -> None:
    channel = Channel.SMS if address == NUMBER else Channel.EMAIL
    other = Studio(studio.booking, studio.notify)
    for each in (studio, other):
        async with within(each) as tx:
            await consent.record(tx, channel=channel, address=address, granted=False, source=Source.STOP, at=tx.now())
    rows = await studio.notify.sql(
        "SELECT s::text AS text, address_hash FROM suppressions s WHERE tenant_id = ANY ($1)"
        " UNION ALL SELECT c::text, address_hash FROM consents c WHERE tenant_id = ANY ($1)",
        [studio.id, other.id],
    )
    assert len(rows) == 4
    assert not any(address in row["text"] for row in rows)
    # Nor can lists of two studios be compared.
    assert len({row["address_hash"] for row in rows}) == 2
