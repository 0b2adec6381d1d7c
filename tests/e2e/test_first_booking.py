"""What a new user does first: with curl alone, and with a gRPC client made from the protos."""

import json
import subprocess
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc

from powerhouse.booking.v1 import booking_service_pb2 as pb
from powerhouse.booking.v1 import client_service_pb2
from powerhouse.booking.v1.attendance_service_pb2 import GetRosterRequest
from powerhouse.booking.v1.attendance_service_pb2_grpc import AttendanceServiceStub
from powerhouse.booking.v1.booking_pb2 import Booking
from powerhouse.booking.v1.booking_service_pb2_grpc import BookingServiceStub
from powerhouse.booking.v1.client_service_pb2_grpc import ClientServiceStub
from powerhouse.identity.v1.identity_service_pb2 import ExchangeTokenRequest
from powerhouse.identity.v1.identity_service_pb2_grpc import IdentityServiceStub
from services.chassis.ids import new_id
from tests.support.product import Product, Visitor, eventually


class Curl:
    """curl with a cookie jar, as the README shows it."""

    def __init__(self, url: str, jar: Path) -> None:
        self._url, self._jar, self._csrf = url, jar, ""

    def __call__(self, method: str, path: str, body: Any = None, *, key: str = "") -> Any:
        headers = self._jar.with_suffix(".headers")
        command = ["curl", "-sS", "-b", str(self._jar), "-c", str(self._jar), "-D", str(headers), "-X", method]
        if body is not None:
            command += ["-H", "Content-Type: application/json", "-d", json.dumps(body)]
        if method != "GET":
            command += ["-H", f"Idempotency-Key: {key or uuid4()}", "-H", f"X-CSRF-Token: {self._csrf}"]
        answer = subprocess.run([*command, self._url + path], capture_output=True, text=True, check=True)
        for line in headers.read_text().splitlines():
            if line.lower().startswith("x-csrf-token:"):
                self._csrf = line.split(":", 1)[1].strip()
        return json.loads(answer.stdout)


def bookable(sessions: list[dict[str, Any]]) -> dict[str, Any]:
    """An open session that can still be cancelled free of charge, beside those already booked."""
    mine = [session for session in sessions if session["myBooking"]]
    return next(
        session
        for session in sessions
        if session["availability"] == "OPEN"
        and all(session["endTime"] <= other["startTime"] or other["endTime"] <= session["startTime"] for other in mine)
        and session["freePlaces"] > 1
        and session["freeCancelUntil"] > sessions[0]["startTime"]
    )


def test_with_curl_alone(running: Product, tmp_path: Path) -> None:
    demo = running.demo
    logins = {login["role"].lower(): login for login in demo["logins"]}
    studio = logins["client"]["studio_name"]
    client, instructor = Curl(running.url, tmp_path / "client"), Curl(running.url, tmp_path / "instructor")
    for curl, role in ((client, "client"), (instructor, "instructor")):
        account = curl("POST", "/v1/accounts:signIn", {"email": logins[role]["email"], "password": demo["password"]})[
            "account"
        ]
        assert account["email"] == logins[role]["email"]

    # A session that the demo's instructor teaches.
    teacher = instructor("GET", "/v1/accounts/me")["account"]["displayName"]
    week = client("GET", f"/v1/{studio}/bookableSessions?pageSize=200")["bookableSessions"]
    session = bookable([s for s in week if s["instructorDisplayName"] == teacher])
    credits = client("GET", f"/v1/{studio}/clients")["clients"][0]["creditsLeft"]

    booking = client("POST", f"/v1/{studio}/bookings", {"classSession": session["classSession"]})
    assert booking["state"] == "CONFIRMED"
    assert client("GET", f"/v1/{studio}/clients")["clients"][0]["creditsLeft"] == credits - 1

    roster = instructor("GET", f"/v1/{session['classSession']}/roster")
    assert booking["name"] in [entry["booking"]["name"] for entry in roster["entries"]]

    def confirmation() -> list[dict[str, Any]]:
        mails = running.mails(logins["client"]["email"])
        return [mail for mail in mails if session["classTypeDisplayName"] in mail["subject"]]

    [mail, *_] = eventually(confirmation, what="the confirmation mail")
    assert mail["accepted_count"] == 1
    assert session["localStart"][-5:] in mail["text"]

    cancelled = client("POST", f"/v1/{booking['name']}:cancel", {})
    assert (cancelled["state"], cancelled["creditReturned"]) == ("CANCELLED_EARLY", True)
    assert client("GET", f"/v1/{studio}/clients")["clients"][0]["creditsLeft"] == credits


def test_as_somebody_who_just_signed_up(running: Product) -> None:
    owner = running.sign_in("owner")
    email = f"{uuid4().hex}@visitors.example"
    visitor = Visitor(running.url)
    visitor.post("/v1/accounts:signUp", {"email": email, "password": "a long enough one", "displayName": "Nora New"})
    client = visitor.post(f"/v1/{owner.studio}/clients:join", {"displayName": "Nora New", "email": email})
    sessions = visitor.get(f"/v1/{owner.studio}/bookableSessions", pageSize="200")["bookableSessions"]
    session = bookable(sessions)
    refusal = visitor.post(f"/v1/{owner.studio}/bookings", {"classSession": session["classSession"]}, expect=400)
    assert refusal["error"]["details"][0]["reason"] == "NO_CREDIT"

    owner.post(
        f"/v1/{owner.studio}/clientPackages:grant",
        {"client": client["name"], "displayName": "Welcome", "credits": 2, "reason": "first visit"},
    )
    booking = visitor.post(f"/v1/{owner.studio}/bookings", {"classSession": session["classSession"]})
    [mail] = eventually(lambda: running.mails(email), what="the confirmation mail")
    assert "Nora New" in mail["text"]
    story = eventually(
        lambda: [
            delivery
            for delivery in owner.get(f"/v1/{owner.studio}/deliveries", booking=booking["name"])["deliveries"]
            if delivery["state"] == "DELIVERED"
        ],
        what="the provider's word that it arrived",
    )
    assert story[0]["providerMessageId"] == mail["id"]
    # A client learns nothing of somebody else's booking, not even that it exists.
    other = running.sign_in("client")
    denied = other.get(f"/v1/{booking['name']}", expect=403)
    assert denied == other.get(f"/v1/{owner.studio}/bookings/{new_id()}", expect=403)


async def test_with_a_grpc_client(running: Product) -> None:
    owner = running.sign_in("owner")
    key = owner.post(f"/v1/{owner.studio}/apiKeys", {"displayName": "Front desk tablet", "role": "ROLE_FRONT_DESK"})
    facts = running.facts
    credentials = grpc.ssl_channel_credentials(running.authority)

    def channel(service: str) -> grpc.aio.Channel:
        options = [("grpc.ssl_target_name_override", service), ("grpc.use_local_subchannel_pool", 1)]
        return grpc.aio.secure_channel(
            f"127.0.0.1:{facts['ports'][f'{service}.public_grpc']}", credentials, options=options
        )

    async with channel("identity") as identity, channel("booking") as booking:
        token = await IdentityServiceStub(identity).ExchangeToken(
            ExchangeTokenRequest(api_key=key["secret"], audience="booking")
        )
        authorization = (("authorization", f"Bearer {token.token}"),)
        stub = BookingServiceStub(booking)
        clients = await ClientServiceStub(booking).ListClients(
            client_service_pb2.ListClientsRequest(parent=owner.studio), metadata=authorization
        )
        client = next(client for client in clients.clients if client.credits_left)
        sessions = await stub.ListBookableSessions(
            pb.ListBookableSessionsRequest(parent=owner.studio, page_size=200), metadata=authorization
        )
        theirs = owner.get(f"/v1/{owner.studio}/bookings", client=client.name)["bookings"]
        taken = {each["classSession"] for each in theirs}
        session = next(
            s for s in reversed(sessions.bookable_sessions) if s.free_places > 1 and s.class_session not in taken
        )
        request = pb.CreateBookingRequest(
            parent=owner.studio,
            booking=pb.NewBooking(class_session=session.class_session, client=client.name),
            request_id=str(uuid4()),
        )
        booked = await stub.CreateBooking(request, metadata=authorization)
        assert booked == await stub.CreateBooking(request, metadata=authorization)
        roster = await AttendanceServiceStub(booking).GetRoster(
            GetRosterRequest(class_session=session.class_session), metadata=authorization
        )
        assert booked.name in [entry.booking.name for entry in roster.entries]
        cancelled = await stub.CancelBooking(
            pb.CancelBookingRequest(name=booked.name, request_id=str(uuid4())), metadata=authorization
        )
        assert cancelled.state in (Booking.CANCELLED_EARLY, Booking.CANCELLED_LATE)
