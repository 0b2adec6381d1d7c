"""The keys of a machine: who may read them, that they speak mTLS, that they are renewed in time."""

import json
import socket
import ssl
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from embedded import certificates as module
from embedded.certificates import NAMES, Certificates


@pytest.fixture
def made(tmp_path: Path) -> Certificates:
    certificates = Certificates(tmp_path / "keys")
    certificates.make()
    return certificates


def test_only_their_owner_may_read_them(made: Certificates) -> None:
    paths = list(made.directory.rglob("*"))
    assert {path.stat().st_mode & 0o777 for path in paths if path.is_file()} == {0o600}
    assert {path.stat().st_mode & 0o777 for path in [made.directory, *paths] if path.is_dir()} == {0o700}
    assert len({made.secret(name).read_text() for name in NAMES}) == len(NAMES)


def test_both_sides_know_each_other_by_name(made: Certificates) -> None:
    assert handshake(made, server="booking", client="notify") == ["booking", "localhost", "127.0.0.1"]


def test_a_stranger_is_refused(made: Certificates, tmp_path: Path) -> None:
    other = Certificates(tmp_path / "other")
    other.make()
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(made, server="booking", client="notify", trusted_by_client=other)


def test_the_token_key_is_the_one_published(made: Certificates) -> None:
    published = json.loads(made.jwks.read_text())["keys"]
    token = jwt.encode({"sub": "x"}, made.token_key.read_text(), algorithm="EdDSA")
    assert jwt.decode(token, jwt.PyJWK(published[0]), algorithms=["EdDSA"]) == {"sub": "x"}
    assert "d" not in published[0]


def test_they_stay_until_a_week_before_their_end(made: Certificates, monkeypatch: pytest.MonkeyPatch) -> None:
    before = contents(made)
    made.make()
    assert contents(made) == before
    monkeypatch.setattr(module, "RENEWED_BEFORE", module.LIFETIME + timedelta(hours=1))
    made.make()
    after = contents(made)
    changed = {path for path in before if before[path] != after[path]}
    assert changed == {path for path in before if path.startswith("tls/")}


def contents(certificates: Certificates) -> dict[str, bytes]:
    files = [path for path in certificates.directory.rglob("*") if path.is_file()]
    return {str(path.relative_to(certificates.directory)): path.read_bytes() for path in files}


def handshake(
    certificates: Certificates, *, server: str, client: str, trusted_by_client: Certificates | None = None
) -> list[str]:
    """Names in the server's certificate, as a client sees them after mutual TLS."""
    accepting = context(certificates, server, ssl.PROTOCOL_TLS_SERVER)
    accepting.verify_mode = ssl.CERT_REQUIRED
    calling = context(trusted_by_client or certificates, client, ssl.PROTOCOL_TLS_CLIENT)
    left, right = socket.socketpair()

    def serve() -> None:
        try:
            with accepting.wrap_socket(left, server_side=True) as connection:
                connection.recv(1)
        except ssl.SSLError:
            left.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with calling.wrap_socket(right, server_hostname=server) as connection:
            connection.send(b"x")
            seen: Any = connection.getpeercert()
            return [value for _, value in seen["subjectAltName"]]
    finally:
        right.close()
        thread.join()


def context(certificates: Certificates, name: str, protocol: int) -> ssl.SSLContext:
    folder = certificates.tls(name)
    made = ssl.SSLContext(protocol)
    made.load_verify_locations(folder / "ca.pem")
    made.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    return made
