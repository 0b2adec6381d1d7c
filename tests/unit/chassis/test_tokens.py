"""Tokens: one audience, one minute, one signer."""

import json
from datetime import timedelta
from uuid import UUID

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embedded.certificates import Certificates
from services.chassis.auth.principal import Principal
from services.chassis.auth.tokens import TokenSigner, TokenVerifier
from services.chassis.clock import real_now
from services.chassis.errors import Unauthenticated
from services.chassis.ids import new_id


@pytest.fixture(scope="module")
def signer(certificates: Certificates) -> TokenSigner:
    key_id = json.loads(certificates.jwks.read_text())["keys"][0]["kid"]
    return TokenSigner(certificates.token_key.read_bytes(), key_id)


@pytest.fixture(scope="module")
def verifier(certificates: Certificates) -> TokenVerifier:
    return TokenVerifier(certificates.jwks, "booking")


def test_a_token_brings_its_principal_back(signer: TokenSigner, verifier: TokenVerifier) -> None:
    principal = Principal(account_id=new_id(), session_id=new_id(), roles={new_id(): frozenset({1, 3})})
    token, expire = signer.sign(principal, "booking")
    assert verifier.verify(token) == principal
    assert verifier.verify(token) == principal  # from the cache
    assert expire - real_now() <= timedelta(seconds=60)
    key = Principal(api_key_id=new_id(), roles={new_id(): frozenset({2})})
    assert verifier.verify(signer.sign(key, "booking")[0]) == key


def test_a_token_of_another_audience_is_refused(signer: TokenSigner, verifier: TokenVerifier) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(signer.sign(Principal(account_id=new_id()), "scheduling")[0])


def _forge(certificates: Certificates, **changes: object) -> str:
    claims = {
        "iss": "identity",
        "aud": "booking",
        "sub": f"account:{UUID(int=1)}",
        "exp": real_now() + timedelta(seconds=30),
        "roles": {},
    } | changes
    kid = json.loads(certificates.jwks.read_text())["keys"][0]["kid"]
    return jwt.encode(claims, certificates.token_key.read_bytes(), "EdDSA", headers={"kid": kid})


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"exp": real_now() - timedelta(seconds=30)}, "TOKEN_EXPIRED"),
        ({"iss": "somebody"}, "TOKEN_INVALID"),
        ({"sub": "robot:1"}, "TOKEN_INVALID"),
        ({"sub": "account:1"}, "TOKEN_INVALID"),
        ({"roles": {"not a studio": [1]}}, "TOKEN_INVALID"),
        ({"roles": [1]}, "TOKEN_INVALID"),
    ],
)
def test_wrong_claims_are_refused(
    certificates: Certificates, verifier: TokenVerifier, changes: dict[str, object], reason: str
) -> None:
    verifier.verify(_forge(certificates))
    with pytest.raises(Unauthenticated) as refusal:
        verifier.verify(_forge(certificates, **changes))
    assert refusal.value.reason == reason


def test_another_algorithm_or_an_unknown_key_is_refused(certificates: Certificates, verifier: TokenVerifier) -> None:
    claims = {"iss": "identity", "aud": "booking", "sub": "account:1", "exp": real_now() + timedelta(seconds=30)}
    kid = json.loads(certificates.jwks.read_text())["keys"][0]["kid"]
    for token in (
        jwt.encode(claims, "x" * 64, "HS256", headers={"kid": kid}),
        jwt.encode(claims, None, "none", headers={"kid": kid}),
        jwt.encode(claims, "x" * 64, "HS256"),
    ):
        with pytest.raises(Unauthenticated):
            verifier.verify(token)


@given(st.text(max_size=200))
def test_noise_is_refused(verifier: TokenVerifier, noise: str) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(noise)
