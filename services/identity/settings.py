"""The environment of identity: what every service reads, and the key that signs tokens."""

from dataclasses import dataclass

from services.chassis.config import env
from services.chassis.settings import ServiceSettings


@dataclass(frozen=True, kw_only=True)
class IdentitySettings(ServiceSettings):
    """`token_private_key`: PEM (PKCS8) of the Ed25519 key whose public half is in the JWKS file."""

    token_private_key: str = env("POWERHOUSE_TOKEN_PRIVATE_KEY")
