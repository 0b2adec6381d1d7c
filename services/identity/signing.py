"""The key that signs tokens, under the id by which every service knows its public half."""

import base64
import json
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from services.chassis.auth.tokens import TokenSigner
from services.chassis.config import ConfigurationError


def open_signer(private_key: str, jwks_file: Path) -> TokenSigner:
    """Raises ConfigurationError when the key is unusable, or when no service could verify what it signs."""
    try:
        key = load_pem_private_key(private_key.encode(), password=None)
    except ValueError:
        raise ConfigurationError("POWERHOUSE_TOKEN_PRIVATE_KEY is no PEM key") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError("POWERHOUSE_TOKEN_PRIVATE_KEY is no Ed25519 key")
    public = base64.urlsafe_b64encode(key.public_key().public_bytes_raw()).decode().rstrip("=")
    for entry in json.loads(jwks_file.read_text(encoding="utf-8"))["keys"]:
        if entry.get("x") == public:
            return TokenSigner(private_key.encode(), entry["kid"])
    raise ConfigurationError("POWERHOUSE_TOKEN_JWKS_FILE lacks the public half of POWERHOUSE_TOKEN_PRIVATE_KEY")
