"""Loads the demo studios as their people would, through the services' own RPCs: `python -m embedded.demo`.

Leaves `demo.json` with the logins in POWERHOUSE_VAR_DIR and does nothing when it is there already. Every write carries
a key made from its content, so a load that was interrupted is taken up where it ended.
"""

import asyncio
import json
import os
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import uvloop

from embedded.demo.data import BERLIN, NEW_YORK
from embedded.demo.people import PASSWORD, Mesh, Person, eventually
from embedded.demo.shops import become_member, open_shop
from embedded.demo.studios import Builder
from powerhouse.booking.v1 import client_pb2, client_service_pb2
from powerhouse.identity.v1 import identity_service_pb2
from powerhouse.policy.v1.policy_pb2 import Role

# Kept free for stories, as are the studios' own.
PHONE = "+4915228817386"
LINK = re.compile(r"accept-invitation#token=(\S+)")


async def give_role(owner: Person, mesh: Mesh, studio: str, person: Person, role: "Role.ValueType", mails: str) -> None:
    """Invites a person by mail, who accepts with the link from the captured mail."""
    invitation = identity_service_pb2.NewInvitation(email=person.email, role=role)
    await owner.call(
        mesh.identity.CreateInvitation,
        identity_service_pb2.CreateInvitationRequest(parent=studio, invitation=invitation),
    )
    async with httpx.AsyncClient(base_url=mails) as sandbox:

        async def read_link() -> str | None:
            answer = await sandbox.get("/sandbox/messages", params={"to": person.email, "limit": "10"})
            texts = [message["text"] for message in answer.raise_for_status().json()["messages"]]
            return next((found[1] for text in texts if (found := LINK.search(text))), None)

        token = await eventually(read_link, f"the invitation of {person.email}")
    await person.call(mesh.identity.AcceptInvitation, identity_service_pb2.AcceptInvitationRequest(token=token))


async def join(client: Person, mesh: Mesh, builder: Builder, display_name: str) -> str:
    """Makes the signed-in person a client of the studio; the client's name."""
    person = client_pb2.Client(display_name=display_name, email=client.email, phone=PHONE)
    request = client_service_pb2.JoinStudioRequest(parent=builder.name, client=person)
    return str((await client.call(mesh.clients.JoinStudio, request)).name)


async def load(mesh: Mesh, mails: str, stripe: str | None) -> list[dict[str, str]]:
    """Loads everything; the logins. `mails` and `stripe` are the base URLs of the sandboxes.

    Without that of Stripe the studios sell nothing: real accounts are for real people to open.
    """
    enter = {
        "owner": "Olivia Osei",
        "manager": "Mateo Marin",
        "frontdesk": "Farah Fadel",
        "instructor": BERLIN.instructors[0],
        "client": "Clara Castell",
        "member": "Mona Maurer",
    }
    people = await asyncio.gather(*(Person.enter(mesh, login, name) for login, name in enter.items()))
    owner, manager, front_desk, instructor, client, member = people
    berlin, new_york = Builder(mesh, owner, BERLIN), Builder(mesh, owner, NEW_YORK)
    await asyncio.gather(berlin.found(), new_york.found())
    # A token from before the second studio would lack the role there.
    owner.forget_tokens()
    with_pack, with_membership = await asyncio.gather(
        join(client, mesh, berlin, enter["client"]), join(member, mesh, berlin, enter["member"])
    )
    await asyncio.gather(
        give_role(owner, mesh, berlin.name, manager, Role.ROLE_MANAGER, mails),
        give_role(owner, mesh, berlin.name, front_desk, Role.ROLE_FRONT_DESK, mails),
        give_role(owner, mesh, berlin.name, instructor, Role.ROLE_INSTRUCTOR, mails),
        berlin.grant(with_pack, 10),
        berlin.build(instructor.account),
        new_york.build(""),
    )
    if stripe:

        async def sell_in_berlin(stripe: str) -> None:
            await open_shop(mesh, owner, berlin.name, BERLIN, stripe)
            await become_member(mesh, owner, member, berlin.name, with_membership, stripe)

        await asyncio.gather(sell_in_berlin(stripe), open_shop(mesh, owner, new_york.name, NEW_YORK, stripe))
    roles = ("owner", "manager", "front_desk", "instructor", "client", "member")
    return [
        {"email": person.email, "role": role, "studio": BERLIN.display_name, "studio_name": berlin.name}
        for person, role in zip(people, roles, strict=True)
    ]


def _log(event: str, **fields: object) -> None:
    head = {"time": datetime.now(UTC).isoformat(timespec="milliseconds"), "level": "info", "service": "demo"}
    print(json.dumps(head | {"process": "demo", "event": event} | fields), flush=True)


async def _main(logins_file: Path, mails: str, stripe: str | None) -> None:
    started = datetime.now(UTC)
    mesh = Mesh(Path(os.environ["POWERHOUSE_TLS_DIR"]))
    try:
        logins = await load(mesh, mails, stripe)
    finally:
        await mesh.close()
    fresh = logins_file.with_suffix(".new")
    fresh.write_text(json.dumps({"password": PASSWORD, "logins": logins}, indent=2) + "\n")
    fresh.rename(logins_file)
    _log("demo_loaded", seconds=round((datetime.now(UTC) - started).total_seconds(), 1))


def main() -> int:
    """0 when the demo is there, or cannot be."""
    logins_file = Path(os.environ["POWERHOUSE_VAR_DIR"]) / "demo.json"
    mails = os.environ.get("POWERHOUSE_SANDBOX_URL")
    if logins_file.exists():
        return 0
    if not mails:
        _log("demo_skipped", reason="mail leaves this machine, and nobody reads that of the demo's people")
        return 0
    uvloop.run(_main(logins_file, mails, os.environ.get("POWERHOUSE_STRIPE_SANDBOX_URL")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
