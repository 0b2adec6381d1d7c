"""Tokens of at most a minute that identity signs and every service verifies (EdDSA, one audience each)."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from jwt.algorithms import OKPAlgorithm

from services.chassis.auth.principal import Principal
from services.chassis.clock import real_now
from services.chassis.errors import Unauthenticated

ALGORITHM = "EdDSA"
ISSUER = "identity"
LIFETIME = timedelta(seconds=60)
_LEEWAY = timedelta(seconds=5)
_CACHE_SIZE = 4096


class TokenSigner:
    """Signs tokens. Only identity holds the private key."""

    def __init__(self, private_key: bytes, key_id: str) -> None:
        key = load_pem_private_key(private_key, password=None)
        if not isinstance(key, Ed25519PrivateKey):
            raise ValueError("the token key must be Ed25519")
        self._key, self._key_id = key, key_id

    def sign(self, principal: Principal, audience: str) -> tuple[str, datetime]:
        """A token for one service and the instant it expires."""
        now = real_now()
        expire = now + LIFETIME
        subject = f"account:{principal.account_id}" if principal.account_id else f"key:{principal.api_key_id}"
        claims = {
            "iss": ISSUER,
            "aud": audience,
            "sub": subject,
            "iat": now,
            "exp": expire,
            "roles": {str(tenant): sorted(roles) for tenant, roles in principal.roles.items()},
        }
        if principal.session_id:
            claims["sid"] = str(principal.session_id)
        return jwt.encode(claims, self._key, ALGORITHM, headers={"kid": self._key_id}), expire


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    expire: datetime


class TokenVerifier:
    """Verifies tokens against a JWKS file; two keys may live at once while one is rotated out."""

    def __init__(self, jwks_file: Path, audience: str) -> None:
        self._audience = audience
        self._keys: dict[str, Ed25519PublicKey] = {}
        for entry in json.loads(jwks_file.read_text(encoding="utf-8"))["keys"]:
            key = OKPAlgorithm.from_jwk(json.dumps(entry))
            if isinstance(key, Ed25519PublicKey):
                self._keys[entry["kid"]] = key
        self._cache: dict[str, _Verified] = {}

    def verify(self, token: str) -> Principal:
        """The principal a token speaks for. Raises Unauthenticated for a forged, foreign or expired one."""
        cached = self._cache.get(token)
        if cached:
            if cached.expire + _LEEWAY > real_now():
                return cached.principal
            del self._cache[token]
            raise _refused("TOKEN_EXPIRED")
        try:
            key = self._keys.get(jwt.get_unverified_header(token).get("kid", ""))
            if key is None:
                raise _refused("TOKEN_INVALID")
            claims = jwt.decode(
                token,
                key,
                algorithms=[ALGORITHM],
                audience=self._audience,
                issuer=ISSUER,
                leeway=_LEEWAY,
                options={"require": ["exp", "aud", "sub", "iss"]},
            )
            principal = _principal(claims)
        except jwt.ExpiredSignatureError:
            raise _refused("TOKEN_EXPIRED") from None
        except (jwt.InvalidTokenError, ValueError, KeyError, AttributeError):
            raise _refused("TOKEN_INVALID") from None
        if len(self._cache) >= _CACHE_SIZE:
            self._cache.clear()
        self._cache[token] = _Verified(principal, datetime.fromtimestamp(claims["exp"], tz=real_now().tzinfo))
        return principal


def _principal(claims: dict[str, object]) -> Principal:
    kind, _, subject = str(claims["sub"]).partition(":")
    roles = claims.get("roles") or {}
    if kind not in ("account", "key") or not isinstance(roles, dict):
        raise ValueError("unknown subject")
    session = claims.get("sid")
    return Principal(
        account_id=UUID(subject) if kind == "account" else None,
        api_key_id=UUID(subject) if kind == "key" else None,
        session_id=UUID(str(session)) if session else None,
        roles={UUID(tenant): frozenset(held) for tenant, held in roles.items()},
    )


def _refused(reason: str) -> Unauthenticated:
    return Unauthenticated("the token is not valid here", reason=reason)
