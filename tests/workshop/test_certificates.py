"""Certificates for a room: what Python's own TLS accepts of them, which is OpenSSL."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509

from workshop import certificates
from workshop.certificates import CertificateError, Pair
from workshop.folder import Folder, Settings

HERE, THERE = "192.0.2.7", "192.0.2.8"


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    made = Folder(tmp_path / "w")
    made.create()
    return made


def test_loopback_needs_none(folder: Folder) -> None:
    assert certificates.pair(folder, Settings(2)) is None
    assert certificates.fingerprint(folder, Settings(2)) == ""


@pytest.mark.parametrize("address", [HERE, "2001:db8::7"])
def test_a_browser_that_trusts_the_authority_accepts_it_for_this_address(folder: Folder, address: str) -> None:
    pair = certificates.pair(folder, Settings(2, listen=address))
    assert pair and handshake(pair, folder.tls / "authority.pem", address) is None


def test_and_for_no_other(folder: Folder) -> None:
    pair = certificates.pair(folder, Settings(2, listen=HERE))
    assert pair and "mismatch" in str(handshake(pair, folder.tls / "authority.pem", THERE))


def test_the_authority_can_sign_nothing_more(folder: Folder) -> None:
    certificates.pair(folder, Settings(2, listen=HERE))
    assert [path.name for path in sorted(folder.tls.iterdir())] == ["authority.pem", "certificate.pem", "key.pem"]
    authority = x509.load_pem_x509_certificate((folder.tls / "authority.pem").read_bytes())
    only = authority.extensions.get_extension_for_class(x509.NameConstraints)
    assert only.critical and [str(one.value) for one in only.value.permitted_subtrees or []] == [f"{HERE}/32"]


def test_it_stays_until_the_address_changes(folder: Folder) -> None:
    prints = []
    for address in (HERE, HERE, THERE):
        certificates.pair(folder, Settings(2, listen=address))
        prints.append(certificates.fingerprint(folder, Settings(2, listen=address)))
    assert prints[0] == prints[1] != prints[2]
    assert len(prints[0].split(":")) == 32


def test_the_trainers_own_are_tried_before_anything_starts(folder: Folder, tmp_path: Path) -> None:
    for name, address in (("one", HERE), ("other", THERE)):
        certificates.make(Pair(tmp_path / f"{name}.pem", tmp_path / f"{name}.key"), tmp_path / "ca.pem", address)
    right = Settings(2, listen=HERE, certificate=str(tmp_path / "one.pem"), key=str(tmp_path / "one.key"))
    assert certificates.pair(folder, right) == Pair(tmp_path / "one.pem", tmp_path / "one.key")
    for key in ("other.key", "missing.key", "ca.pem"):
        wrong = Settings(2, listen=HERE, certificate=str(tmp_path / "one.pem"), key=str(tmp_path / key))
        with pytest.raises(CertificateError, match=key):
            certificates.pair(folder, wrong)


def handshake(pair: Pair, authority: Path, address: str) -> ssl.SSLError | None:
    """Connect over TLS in memory; return what the client says against the certificate."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(pair.certificate, pair.key)
    client_context = ssl.create_default_context(cafile=authority)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_context.wrap_bio(to_client, to_server, server_hostname=address)
    server = server_context.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(10):
        for side in (client, server):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                return error
    return None
