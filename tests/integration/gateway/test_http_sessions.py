import asyncio

import httpx
import pytest

from gateway import sessions
from powerhouse.policy.v1.policy_pb2 import Role
from tests.integration.gateway.house import BOOKINGS, STUDIO, House

BOOKING = {"classSession": "x"}
KEY = {"idempotency-key": "k-1"}
GRANT = f"/v1/studios/{STUDIO}/clientPackages:grant"
PACKAGE = {"client": "c", "displayName": "Ten", "credits": 10, "reason": "welcome"}


def _reason(answer: httpx.Response) -> str:
    return str(answer.json()["error"]["details"][0]["reason"])


async def test_signing_in_and_out_in_a_browser(house: House) -> None:
    answer = await house.client.post("/v1/accounts:signIn", json={"email": "a@b.c", "password": "right"})
    assert answer.status_code == 200
    assert "sessionToken" not in answer.json()
    assert "session-1" not in answer.text
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-session=session-1; Path=/; ")
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))
    assert "Domain" not in cookie
    csrf = {"x-csrf-token": answer.headers["x-csrf-token"]}
    assert (await house.client.get("/v1/accounts/me")).headers["x-csrf-token"] == csrf["x-csrf-token"]

    answer = await house.client.post(BOOKINGS, json=BOOKING, headers={**KEY, **csrf})
    assert answer.status_code == 200
    answer = await house.client.post("/v1/accounts/me:signOut", headers=csrf)
    assert answer.headers["set-cookie"].startswith("__Host-session=; Path=/; Max-Age=0;")
    assert "x-csrf-token" not in answer.headers

    # The token from before is not used again, even by who kept the cookie.
    kept = {"cookie": "__Host-session=session-1"}
    answer = await house.client.get("/v1/accounts/me", headers=kept)
    assert (answer.status_code, _reason(answer)) == (401, "SESSION_EXPIRED")
    assert answer.headers["set-cookie"].startswith("__Host-session=; ")
    assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_wrong_password_sets_no_cookie(house: House) -> None:
    answer = await house.client.post("/v1/accounts:signIn", json={"email": "a@b.c", "password": "wrong"})
    assert (answer.status_code, _reason(answer)) == (401, "WRONG_CREDENTIALS")
    assert "set-cookie" not in answer.headers


async def test_a_stranger_is_asked_to_sign_in(house: House) -> None:
    answer = await house.client.get(BOOKINGS)
    assert (answer.status_code, _reason(answer)) == (401, "NOT_SIGNED_IN")
    for nonsense in ("Basic YTpi", "Bearer", "Bearer  "):
        answer = await house.client.get(BOOKINGS, headers={"authorization": nonsense})
        assert (answer.status_code, _reason(answer)) == (401, "API_KEY_INVALID")
    answer = await house.client.get(BOOKINGS, headers={"cookie": f"__Host-session={'x' * 300}"})
    assert (answer.status_code, _reason(answer)) == (401, "SESSION_EXPIRED")


async def test_a_write_by_cookie_needs_the_token_of_its_page(house: House) -> None:
    mine, other = house.sign_in("mine"), house.sign_in("other")
    theirs = (await house.csrf(other))["x-csrf-token"]
    for headers in (mine, {**mine, "x-csrf-token": "x"}, {**mine, "x-csrf-token": theirs}):
        answer = await house.client.post(BOOKINGS, json=BOOKING, headers={**KEY, **headers})
        assert (answer.status_code, _reason(answer)) == (403, "CSRF_TOKEN_INVALID")
    assert not house.booking.requests
    answer = await house.client.post(BOOKINGS, json=BOOKING, headers={**KEY, **await house.csrf(mine)})
    assert answer.status_code == 200


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "https://studio.example.evil.example"])
async def test_another_site_cannot_write(house: House, origin: str) -> None:
    headers = {**KEY, **await house.csrf(house.sign_in()), "origin": origin}
    answer = await house.client.post(BOOKINGS, json=BOOKING, headers=headers)
    assert (answer.status_code, _reason(answer)) == (403, "ORIGIN_NOT_ALLOWED")
    # Nor sign a browser in as somebody else.
    login = {"email": "a@b.c", "password": "right"}
    answer = await house.client.post("/v1/accounts:signIn", json=login, headers={"origin": origin})
    assert (answer.status_code, _reason(answer)) == (403, "ORIGIN_NOT_ALLOWED")


async def test_the_site_itself_can_write(house: House) -> None:
    headers = {**KEY, **await house.csrf(house.sign_in())}
    for site in ({"origin": "https://studio.example"}, {"origin": "http://127.0.0.1:1", "host": "127.0.0.1:1"}):
        assert (await house.client.post(BOOKINGS, json=BOOKING, headers={**headers, **site})).status_code == 200


async def test_an_api_key_needs_no_csrf_token_and_outranks_the_cookie(house: House) -> None:
    house.sign_in("key-1")
    headers = {**KEY, "authorization": "bearer key-1", "cookie": "__Host-session=unknown"}
    answer = await house.client.post(BOOKINGS, json=BOOKING, headers=headers)
    assert answer.status_code == 200
    assert "x-csrf-token" not in answer.headers


async def test_parallel_requests_share_one_exchange_per_service(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.calls.FRESH", 60)
    headers = house.sign_in()
    await asyncio.gather(*(house.client.get(BOOKINGS, headers=headers) for _ in range(20)))
    await asyncio.gather(*(house.client.get("/v1/accounts/me", headers=headers) for _ in range(20)))
    assert house.identity.exchanges == ["booking", "identity"]


async def test_a_new_role_works_at_once(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = {**KEY, **await house.csrf(house.sign_in())}
    # A token that young is believed, so a refusal costs no second exchange.
    assert (await house.client.post(GRANT, json=PACKAGE, headers=headers)).status_code == 403
    assert (await house.client.post(GRANT, json=PACKAGE, headers=headers)).status_code == 403
    assert house.identity.exchanges.count("booking") == 1
    house.own_studio("session-1", Role.ROLE_OWNER)
    monkeypatch.setattr("gateway.calls.FRESH", 0)
    answer = await house.client.post(GRANT, json=PACKAGE, headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.json()["reason"] == "welcome"


async def test_what_depends_on_all_roles_is_asked_with_fresh_ones(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = house.sign_in()
    for age in (60, 0):
        monkeypatch.setattr("gateway.calls.FRESH", age)
        await house.client.get("/v1/accounts/me", headers=headers)
        await house.client.get(BOOKINGS, headers=headers)
    assert house.identity.exchanges == ["identity", "booking", "identity"]


async def test_a_token_is_renewed_before_it_ends(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    headers = house.sign_in()
    monkeypatch.setattr(sessions, "EXPIRY_MARGIN", 120.0)
    for _ in range(2):
        await house.client.get("/v1/accounts/me", headers=headers)
    assert house.identity.exchanges == ["identity", "identity"]


async def test_the_number_of_kept_credentials_is_bounded(house: House) -> None:
    tokens = sessions.Tokens(house.channels["identity"], capacity=2)
    for name in ("a", "b", "c"):
        house.sign_in(name)
        await tokens.get(sessions.Credential(name, is_session=True), "booking", ())
    await tokens.get(sessions.Credential("c", is_session=True), "booking", ())
    await tokens.get(sessions.Credential("a", is_session=True), "booking", ())
    assert len(house.identity.exchanges) == 4


async def test_when_identity_is_away_the_caller_stays_signed_in(house: House) -> None:
    headers = house.sign_in()
    await house.servers["identity"].drain(0, 0)
    answer = await house.client.get(BOOKINGS, headers=headers)
    assert answer.status_code == 503
    assert "set-cookie" not in answer.headers
