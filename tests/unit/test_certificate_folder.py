"""azureml_local.certificate_folder: OpenSSL itself, in Python's ssl, finds every authority in the folder by its name
(https://docs.openssl.org/3.0/man1/openssl-rehash/)."""

import contextlib
import datetime
import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import certifi
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID

from azureml_local.certificate_folder import BUNDLE, folder_of, subject_hash
from azureml_local.edge import tls

ODD_NAMES = [
    x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "  Two   Spaces and CAPITALS ")]),
    x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ünïcode ß", _ASN1Type.UTF8String)]),
    x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Zürich", _ASN1Type.BMPString)]),
    x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "n" * 64), x509.NameAttribute(NameOID.TITLE, "t" * 200)]),
    x509.Name(
        [
            x509.RelativeDistinguishedName(
                [
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "several in one"),
                    x509.NameAttribute(NameOID.COUNTRY_NAME, "CH"),
                    x509.NameAttribute(NameOID.COMMON_NAME, "part"),
                ]
            )
        ]
    ),
]


Key = ec.EllipticCurvePrivateKey


def certificate(
    name: x509.Name, key: Key | None = None, issuer: tuple[x509.Name, Key] | None = None
) -> x509.Certificate:
    """Return an authority's certificate, or one that it has issued."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    issuer_name, issuer_key = issuer or (name, key)
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(tls.usage(signs_certificates=issuer is None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("a.example")]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def pem(of: x509.Certificate) -> str:
    return of.public_bytes(serialization.Encoding.PEM).decode()


@pytest.mark.skipif(not shutil.which("openssl"), reason="the command openssl says the hashes that are compared")
@pytest.mark.parametrize("name", ODD_NAMES)
def test_names_that_are_odd(name: x509.Name) -> None:
    made = certificate(name)
    command = ["openssl", "x509", "-noout", "-subject_hash"]
    said = subprocess.run(command, input=pem(made), capture_output=True, text=True, check=True).stdout.strip()
    assert subject_hash(made.public_bytes(serialization.Encoding.DER)) == said


@pytest.mark.skipif(not shutil.which("openssl"), reason="the command openssl says the hashes that are compared")
def test_the_public_authorities(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    shutil.copy(certifi.where(), bundle)
    ours = {file.name for file in folder_of(bundle).iterdir()} - {BUNDLE}
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    for number, text in enumerate(Path(certifi.where()).read_text().split("-----END CERTIFICATE-----\n")[:-1]):
        (theirs / f"{number}.pem").write_text(text + "-----END CERTIFICATE-----\n")
    subprocess.run(["openssl", "rehash", str(theirs)], check=True, capture_output=True)
    assert ours == {file.name for file in theirs.iterdir() if file.is_symlink()}


def test_openssl_trusts_what_is_in_the_folder(tmp_path: Path) -> None:
    """Two authorities of one name, the second of which has issued a server's certificate."""
    authoritys, servers = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Alike")])
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "A server")])
    bundle, other, chain = tmp_path / "ca.pem", tmp_path / "other.pem", tmp_path / "chain.pem"
    bundle.write_text(pem(certificate(name)) + pem(certificate(name, authoritys)))
    other.write_text(pem(certificate(name)))
    kind = serialization.PrivateFormat.PKCS8
    private = servers.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption())
    chain.write_text(private.decode() + pem(certificate(own, servers, (name, authoritys))))
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    assert handshake(server, ssl.create_default_context(capath=str(folder_of(bundle)))) == ""
    refusal = handshake(server, ssl.create_default_context(capath=str(folder_of(other))))
    assert "CERTIFICATE_VERIFY_FAILED" in refusal


def handshake(server: ssl.SSLContext, client: ssl.SSLContext) -> str:
    """Connect to a server of this process, and return what the client says is wrong with its certificate."""
    ours, theirs = socket.socketpair()

    def serve() -> None:
        with contextlib.suppress(OSError), server.wrap_socket(theirs, server_side=True):  # the client may refuse it
            theirs.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        with client.wrap_socket(ours, server_hostname="a.example"):
            return ""
    except ssl.SSLError as error:
        return str(error)
    finally:
        thread.join()


def test_a_changed_bundle_has_a_folder_of_its_own(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text(pem(certificate(ODD_NAMES[0])))
    first = folder_of(bundle)
    assert folder_of(bundle) == first
    assert (first / BUNDLE).read_text() == bundle.read_text()
    bundle.write_text(pem(certificate(ODD_NAMES[1])))
    assert folder_of(bundle) != first
    assert {path.name for path in tmp_path.iterdir()} == {"ca.pem", first.name, folder_of(bundle).name}


def test_what_is_no_certificate_is_refused(tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    bundle.write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    with pytest.raises(ValueError):
        folder_of(bundle)
    assert list(tmp_path.iterdir()) == [bundle]
