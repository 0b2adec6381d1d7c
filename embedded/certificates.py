"""The keys of a machine's own: a private CA, one certificate per process, the token key pair and the services' secrets.

Tests share the same code.
"""

import ipaddress
import json
import os
import secrets
import shutil
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NAMES = ("identity", "scheduling", "booking", "notify", "payments", "gateway")
LIFETIME = timedelta(days=365)
RENEWED_BEFORE = timedelta(days=7)


@dataclass(frozen=True)
class Certificates:
    """Where the keys lie below `directory` (0700, files 0600)."""

    directory: Path
    # Whose they are.
    names: tuple[str, ...] = NAMES

    @property
    def authority(self) -> Path:
        """The CA's certificate, for programs that call the public gRPC ports."""
        return self.directory / "tls" / "ca.pem"

    @property
    def jwks(self) -> Path:
        """The public half of the token key."""
        return self.directory / "tokens" / "jwks.json"

    @property
    def token_key(self) -> Path:
        """The private half, for identity alone."""
        return self.directory / "tokens" / "private.pem"

    def tls(self, name: str) -> Path:
        """Directory with `ca.pem`, `cert.pem` and `key.pem` of one process."""
        return self.directory / "tls" / name

    def secret(self, name: str) -> Path:
        """File with a secret that only this process knows."""
        return self.directory / "secrets" / name

    @property
    def person_keys(self) -> Path:
        """What wraps the keys of booking's clients: without it their notes are lost."""
        return self.directory / "secrets" / "person-keys"

    @property
    def push_key(self) -> Path:
        """Signs notifications; browsers listen for its public half, so a new one would be heard by none of them."""
        return self.directory / "secrets" / "push-key"

    def make(self) -> None:
        """Makes what is missing, and all certificates anew when one ends in less than a week."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._are_valid(datetime.now(UTC)):
            self._issue()
        if not (self.token_key.exists() and self.jwks.exists()):
            self._make_token_key()
        if not self.person_keys.exists():
            _write(self.person_keys, Fernet.generate_key())
        if not self.push_key.exists():
            number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
            _write(self.push_key, _base64(number.to_bytes(32, "big")).encode())
        for name in self.names:
            if not self.secret(name).exists():
                _write(self.secret(name), secrets.token_urlsafe(48).encode())

    def _are_valid(self, now: datetime) -> bool:
        try:
            files = [self.authority, *(self.tls(name) / "cert.pem" for name in self.names)]
            ends = [x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc for file in files]
        except (OSError, ValueError):
            return False
        return min(ends) - now > RENEWED_BEFORE

    def _issue(self) -> None:
        """The CA's key is never written: whatever needs a new certificate gets a new CA with it."""
        fresh = self.directory / "tls.new"
        shutil.rmtree(fresh, ignore_errors=True)
        authority_key = ec.generate_private_key(ec.SECP256R1())
        subject = _named("Powerhouse on this machine")
        authority = (
            _certificate(subject, subject, authority_key.public_key())
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(authority_key, hashes.SHA256())
        )
        authority_pem = authority.public_bytes(serialization.Encoding.PEM)
        _write(fresh / "ca.pem", authority_pem)
        for name in self.names:
            key = ec.generate_private_key(ec.SECP256R1())
            places = [x509.DNSName(name), x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
            certificate = (
                _certificate(_named(name), subject, key.public_key())
                .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
                .add_extension(x509.SubjectAlternativeName(places), critical=False)
                .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
                .sign(authority_key, hashes.SHA256())
            )
            _write(fresh / name / "ca.pem", authority_pem)
            _write(fresh / name / "cert.pem", certificate.public_bytes(serialization.Encoding.PEM))
            _write(fresh / name / "key.pem", _private_pem(key))
        shutil.rmtree(self.directory / "tls", ignore_errors=True)
        fresh.rename(self.directory / "tls")

    def _make_token_key(self) -> None:
        key = ed25519.Ed25519PrivateKey.generate()
        public = {"crv": "Ed25519", "kty": "OKP", "x": _base64(key.public_key().public_bytes_raw())}
        # RFC 7638: the id follows from the key, so whoever holds the private half knows it too.
        thumbprint = _base64(sha256(json.dumps(public, separators=(",", ":")).encode()).digest())
        keys = {"keys": [{**public, "kid": thumbprint, "alg": "EdDSA", "use": "sig"}]}
        _write(self.token_key, _private_pem(key))
        _write(self.jwks, json.dumps(keys, indent=2).encode())


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
    )


def _private_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _base64(value: bytes) -> str:
    return urlsafe_b64encode(value).rstrip(b"=").decode()


def _write(file: Path, content: bytes) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as output:
        output.write(content)
