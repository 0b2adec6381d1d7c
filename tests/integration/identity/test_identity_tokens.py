"""Sessions and API keys become short tokens; what is forged, foreign or old is refused."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from powerhouse.identity.v1 import identity_service_pb2 as pb
from powerhouse.identity.v1.account_pb2 import ApiKey
from powerhouse.policy.v1.policy_pb2 import Role
from services.chassis.auth.tokens import TokenVerifier
from services.chassis.clock import real_now
from services.chassis.config import ConfigurationError
from services.chassis.errors import Unauthenticated
from services.identity.service import SERVICE
from services.identity.signing import open_signer
from tests.integration.identity.house import Browser, Studio, key, new_studio, reason
from tests.support.services import Running

EXPIRED = ("UNAUTHENTICATED", "SESSION_EXPIRED")


async def test_a_token_carries_every_role_in_every_studio(browser: Browser, identity: Running, studio: Studio) -> None:
    answer = await browser.sign_up()
    account = answer.account.name.removeprefix("accounts/")
    other = await new_studio(identity)
    for place, role in ((studio, Role.ROLE_MANAGER), (studio, Role.ROLE_INSTRUCTOR), (other, Role.ROLE_OWNER)):
        await place.grant(account, role)
    principal = await browser.exchange(session_token=answer.session_token)
    assert principal.roles == {
        studio.id: frozenset({Role.ROLE_MANAGER, Role.ROLE_INSTRUCTOR}),
        other.id: frozenset({Role.ROLE_OWNER}),
    }
    assert str(principal.account_id) == account


async def test_a_token_lives_a_minute_at_one_service(browser: Browser, identity: Running) -> None:
    token = await _token(browser)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert timedelta(seconds=claims["exp"] - claims["iat"]) == timedelta(seconds=60)
    assert _verdict(identity, token, "booking") == "OK"
    assert _verdict(identity, token, "scheduling") == "TOKEN_INVALID"


async def test_forged_and_expired_tokens_are_refused(browser: Browser, identity: Running) -> None:
    token = await _token(browser)
    header, claims = jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})
    ours = identity.mesh.certificates.token_key.read_text()
    (entry,) = json.loads(identity.mesh.certificates.jwks.read_text())["keys"]
    public = base64.urlsafe_b64decode(entry["x"] + "=")
    head, _, signature = token.split(".")
    long_ago = {**claims, "exp": int(real_now().timestamp()) - 60}
    kid = {"kid": header["kid"]}
    forgeries = {
        "another key": jwt.encode(claims, Ed25519PrivateKey.generate(), "EdDSA", headers=kid),
        "another key's id": jwt.encode(claims, ours, "EdDSA", headers={"kid": "other"}),
        "the public key as a password": jwt.encode(claims, public, "HS256", headers=kid),
        "no signature": jwt.encode(claims, None, "none", headers=kid),
        "more roles": ".".join((head, _encoded({**claims, "roles": {"x": [1]}}), signature)),
        "another issuer": jwt.encode({**claims, "iss": "booking"}, ours, "EdDSA", headers=kid),
        "no end": jwt.encode({**claims, "exp": None}, ours, "EdDSA", headers=kid),
        "a stranger": jwt.encode({**claims, "sub": "admin:1"}, ours, "EdDSA", headers=kid),
        "nothing": "",
        "half": token[: len(token) // 2],
        "noise": "\0.é.🪤",
    }
    assert {name: _verdict(identity, forged) for name, forged in forgeries.items()} == dict.fromkeys(
        forgeries, "TOKEN_INVALID"
    )
    assert _verdict(identity, jwt.encode(long_ago, ours, "EdDSA", headers=kid)) == "TOKEN_EXPIRED"


@pytest.mark.parametrize(
    ("column", "age", "lives"),
    [
        ("last_use_time", timedelta(days=13, hours=23), True),
        ("last_use_time", timedelta(days=14), False),
        ("create_time", timedelta(days=29, hours=23), True),
        ("create_time", timedelta(days=30), False),
    ],
)
async def test_a_session_ends_by_idleness_and_by_age(
    browser: Browser, identity: Running, column: str, age: timedelta, lives: bool
) -> None:
    answer = await browser.sign_up()
    account = answer.account.name.removeprefix("accounts/")
    await identity.sql(f"UPDATE sessions SET {column} = {column} - $1::interval WHERE account_id = $2", age, account)
    if lives:
        await browser.exchange(session_token=answer.session_token)
    else:
        assert await reason(browser.exchange(session_token=answer.session_token)) == EXPIRED


async def test_sign_in_says_when_the_session_ends(browser: Browser) -> None:
    answer = await browser.sign_up()
    left = answer.expire_time.ToDatetime(tzinfo=UTC) - real_now()
    assert timedelta(days=13, hours=23) < left <= timedelta(days=14)


async def test_use_is_recorded_once_a_minute(browser: Browser, identity: Running) -> None:
    answer = await browser.sign_up()
    account = answer.account.name.removeprefix("accounts/")

    async def use_after(idle: timedelta) -> bool:
        """Whether a use that long after the last one is recorded."""
        rows = await identity.sql(
            "UPDATE sessions SET last_use_time = now() - $1::interval WHERE account_id = $2 RETURNING last_use_time",
            idle,
            account,
        )
        await browser.exchange(session_token=answer.session_token)
        return await _last_use(identity, account) != rows[0]["last_use_time"]

    assert not await use_after(timedelta(seconds=50))
    assert await use_after(timedelta(seconds=61))


@pytest.mark.parametrize("token", ["", "nonsense", "é" * 100])
async def test_what_is_no_session_is_refused(browser: Browser, token: str) -> None:
    assert await reason(browser.exchange(session_token=token)) == EXPIRED


async def test_only_a_hash_of_the_session_token_is_kept(browser: Browser, identity: Running) -> None:
    token = (await browser.sign_up()).session_token
    assert len(base64.urlsafe_b64decode(token + "=")) * 8 == 256
    rows = await identity.sql("SELECT to_jsonb(s)::text AS row FROM sessions s")
    assert all(token not in row["row"] and token.encode().hex() not in row["row"] for row in rows)


async def test_an_api_key_speaks_for_its_studio_with_its_role(browser: Browser, studio: Studio) -> None:
    created = await _create_key(studio)
    principal = await browser.exchange(api_key=created.secret)
    assert principal.roles == {studio.id: frozenset({Role.ROLE_FRONT_DESK})}
    assert principal.account_id is None
    assert str(principal.api_key_id) == created.name.rpartition("/")[2]


async def test_a_revoked_key_is_told_so_and_a_wrong_one_is_not(browser: Browser, studio: Studio) -> None:
    created = await _create_key(studio)
    prefix, key_id, secret = created.secret.split("_", 2)
    for wrong in ("", "phk", "phk_1_2", f"phk_{key_id}_", f"phk_{key_id}_x{secret}", f"key_{key_id}_{secret}"):
        assert await reason(browser.exchange(api_key=wrong)) == ("UNAUTHENTICATED", "API_KEY_INVALID")
    await studio.as_owner().RevokeApiKey(pb.RevokeApiKeyRequest(name=created.name, request_id=key()))
    assert await reason(browser.exchange(api_key=created.secret)) == ("UNAUTHENTICATED", "API_KEY_REVOKED")
    assert await reason(browser.exchange(api_key=f"{prefix}_{key_id}_x")) == ("UNAUTHENTICATED", "API_KEY_INVALID")


async def test_an_exchange_needs_a_credential_and_an_audience(browser: Browser) -> None:
    for request in (pb.ExchangeTokenRequest(audience="booking"), pb.ExchangeTokenRequest(session_token="x")):
        assert (await reason(browser.call("ExchangeToken", request)))[0] == "INVALID_ARGUMENT"


async def test_identity_refuses_a_key_that_nobody_could_verify(identity: Running, tmp_path: Path) -> None:
    certificates = identity.mesh.certificates
    private = certificates.token_key.read_text()
    stranger = tmp_path / "jwks.json"
    stranger.write_text(json.dumps({"keys": [{"kty": "OKP", "crv": "Ed25519", "kid": "a", "x": "AAAA"}]}))
    for pem, jwks in ((private, stranger), ("no key", certificates.jwks)):
        with pytest.raises(ConfigurationError):
            open_signer(pem, jwks)
    settings = replace(identity.resources.settings, token_jwks_file=stranger)
    with pytest.raises(ConfigurationError):
        SERVICE.servicers(replace(identity.resources, settings=settings))


async def _create_key(studio: Studio) -> ApiKey:
    wanted = pb.NewApiKey(display_name="Door", role=Role.ROLE_FRONT_DESK)
    request = pb.CreateApiKeyRequest(parent=studio.name, api_key=wanted, request_id=key())
    created: ApiKey = await studio.as_owner().CreateApiKey(request)
    return created


async def _token(browser: Browser) -> str:
    session = (await browser.sign_up()).session_token
    request = pb.ExchangeTokenRequest(session_token=session, audience="booking")
    token: str = (await browser.call("ExchangeToken", request)).token
    return token


def _verdict(identity: Running, token: str, audience: str = "booking") -> str:
    try:
        TokenVerifier(identity.mesh.certificates.jwks, audience).verify(token)
    except Unauthenticated as refusal:
        return refusal.reason
    return "OK"


def _encoded(claims: dict[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")


async def _last_use(identity: Running, account: str) -> datetime:
    rows = await identity.sql("SELECT last_use_time FROM sessions WHERE account_id = $1", account)
    used: datetime = rows[0]["last_use_time"]
    return used
