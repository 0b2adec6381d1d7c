"""Changing the keys that wrap the keys of clients: a new one first, everything wrapped anew, the old one away."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from cryptography.fernet import Fernet, InvalidToken

from services.booking.person_keys import PersonKeys, rewrap_all
from tests.integration.booking.house import House, last_id

NEW = Fernet.generate_key().decode()


def old(house: House) -> str:
    return house.running.mesh.certificates.person_keys.read_text().strip()


async def rewrap(house: House, *keys: str) -> str:
    """What the command says that somebody runs by hand."""
    certificates = house.running.mesh.certificates
    environment = {
        "POWERHOUSE_DATABASE_URL": house.running.mesh.admin_url,
        "POWERHOUSE_BROKER_URL": "memory://",
        "POWERHOUSE_TLS_DIR": str(certificates.tls("booking")),
        "POWERHOUSE_TOKEN_JWKS_FILE": str(certificates.jwks),
        "POWERHOUSE_SECRET_FILE": str(certificates.secret("booking")),
        "POWERHOUSE_PERSON_KEYS": ",".join(keys),
    }
    run = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.booking",
        "rewrap-keys",
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    printed, _ = await run.communicate()
    assert run.returncode == 0
    return printed.decode().splitlines()[-1]


def holder(house: House, *keys: str) -> PersonKeys:
    """As a process has it that was started with these keys."""
    settings: Any = house.running.resources.settings
    return PersonKeys(replace(settings, person_keys=",".join(keys)))


@pytest.fixture
async def restored(house: House) -> AsyncIterator[None]:
    """Whatever the test does, the keys that everybody has open all of them again."""
    yield
    await rewrap(house, old(house), NEW)


@pytest.mark.usefixtures("restored")
async def test_the_old_key_can_go_when_all_are_wrapped_anew(house: House) -> None:
    await house.running.sql("INSERT INTO studio_ids VALUES ($1) ON CONFLICT DO NOTHING", house.tenant)
    client, database = last_id((await house.add_client()).name), house.running.resources.database
    async with database.transaction(house.tenant) as tx:
        text = await holder(house, old(house)).encrypt(tx, client, "Slipped disc")
    async with database.transaction(house.tenant) as tx:
        with pytest.raises(InvalidToken):
            await holder(house, NEW).decrypt(tx, [(client, text)])

    said = await rewrap(house, NEW, old(house))
    assert said.split(" of ")[0] != "0"
    async with database.transaction(house.tenant) as tx:
        assert await holder(house, NEW).decrypt(tx, [(client, text)]) == ["Slipped disc"]
        # Of a client who is new since.
        other = last_id((await house.add_client()).name)
        await holder(house, NEW, old(house)).encrypt(tx, other, "New here")
    assert (await rewrap(house, NEW)).startswith("0 of ")


async def test_many_pages_of_many_studios(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.booking.person_keys._PAGE", 2)
    await house.running.sql("INSERT INTO studio_ids VALUES ($1) ON CONFLICT DO NOTHING", house.tenant)
    resources: Any = house.running.resources
    clients = [last_id((await house.add_client()).name) for _ in range(5)]
    async with resources.database.transaction(house.tenant) as tx:
        for client in clients:
            await holder(house, NEW).encrypt(tx, client, "x")
    settings = replace(resources.settings, person_keys=f"{old(house)},{NEW}")
    said = await rewrap_all(replace(resources, settings=settings))
    assert said.startswith("5 of ")
    assert (await rewrap_all(resources)).startswith("0 of ")
