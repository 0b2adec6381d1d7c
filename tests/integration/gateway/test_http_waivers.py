"""A client before a studio that asks for its waiver, over HTTP: refused, told what to sign, signed, booked."""

from embedded.certificates import Certificates
from powerhouse.booking.v1.client_pb2 import Client
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.ids import new_id
from tests.integration.gateway.front import open_front, reason_of


async def test_sign_and_book(postgres_url: str, certificates: Certificates) -> None:
    account = new_id()
    async with (
        open_front(postgres_url, certificates) as front,
        front.visitor(new_id(), Role.ROLE_OWNER) as owner,
        front.visitor(account) as clara,
    ):
        studio = front.house.name
        joined = await clara.post(f"{studio}/clients:join", {"displayName": "Clara", "email": "clara@example.com"})
        client = Client(name=joined.json()["name"])
        await front.house.grant(client)
        session = await front.house.plan()
        published = await owner.post(f"{studio}/waiver:publish", {"title": "Waiver", "text": "At my own risk."})
        assert published.status_code == 200
        policy = await owner.client.patch(
            f"/v1/{studio}/bookingPolicy", json={"waiverRequired": True}, headers={"idempotency-key": "policy"}
        )
        assert policy.json()["waiverRequired"] is True

        tried = await clara.client.post(f"/v1/{studio}/bookings:preview", json={"classSession": session})
        assert (tried.json()["bookable"], tried.json()["reason"]) == (False, "WAIVER_NOT_SIGNED")
        refusal = await clara.post(f"{studio}/bookings", {"classSession": session})
        assert (refusal.status_code, reason_of(refusal)) == (400, "WAIVER_NOT_SIGNED")
        waiver = refusal.json()["error"]["details"][0]["metadata"]["waiver"]
        # What is named can be read and signed as it stands.
        version = (await clara.get(waiver)).json()["version"]
        signature = {"waiverVersion": version, "typedName": "Clara C."}
        assert (await clara.post(f"{client.name}:signWaiver", signature)).status_code == 200
        assert (await clara.get(client.name)).json()["mustSignWaiver"] is False
        assert await clara.book(session) == "BOOKED"
