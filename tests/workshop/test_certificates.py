"""Certificates for a room: what Python's own TLS accepts of them, which is OpenSSL."""

from __future__ import annotations

import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from azureml_local.edge import tls
from workshop import certificates, links
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


def test_links_have_the_name_that_the_trainers_certificate_is_for(tmp_path: Path) -> None:
    tls.self_signed(tmp_path / "none.pem", tmp_path / "key.pem", "none")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    names = x509.SubjectAlternativeName([x509.DNSName("*.example.org"), x509.DNSName("room.example.org")])
    issuer = name, key.public_key()
    made = tls.builder(name, key.public_key(), issuer, tls.LEAF_LIFETIME).add_extension(names, critical=True)
    (tmp_path / "c.pem").write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    settings = Settings(2, listen=HERE, certificate=str(tmp_path / "c.pem"))
    assert certificates.host(settings) == "room.example.org"
    assert links.public_url(replace(settings, host="room.example.org")) == "https://room.example.org:8000"
    assert certificates.host(replace(settings, certificate=str(tmp_path / "none.pem"))) == ""
    assert certificates.host(Settings(2)) == ""


def handshake(pair: Pair, authority: Path, address: str) -> ssl.SSLError | None:
    """Connect over TLS in memory; return what the client says against the certificate."""
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(pair.certificate, pair.key)
    client_context = ssl.create_default_context(cafile=authority)
    client_context.verify_flags |= ssl.VERIFY_X509_STRICT  # Python's default since 3.13
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
