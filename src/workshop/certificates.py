"""The certificate that the proxy presents beyond loopback: the trainer's own, or one that is made here."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from azureml_local.edge import tls
from azureml_local.home import write_private
from workshop.folder import Folder, Settings
from workshop.links import is_loopback


class CertificateError(Exception):
    """A certificate cannot be used; the message says why."""


@dataclass(frozen=True)
class Pair:
    """A certificate and its key, as PEM files."""

    certificate: Path
    key: Path


def pair(folder: Folder, settings: Settings) -> Pair | None:
    """Return the files to listen with; None on loopback, where there is nobody to listen in.

    Raises:
        CertificateError: the trainer's own do not fit together, or cannot be read.
    """
    if settings.certificate:
        return checked(Pair(Path(settings.certificate).resolve(), Path(settings.key).resolve()))
    if is_loopback(settings):
        return None
    own = Pair(folder.tls / "certificate.pem", folder.tls / "key.pem")
    if not is_good(own.certificate, settings.listen):
        make(own, folder.tls / "authority.pem", settings.listen)
    return own


def host(settings: Settings) -> str:
    """Return the first name that the trainer's own certificate is for; empty where there is none, or none but *."""
    if not settings.certificate:
        return ""
    certificate = x509.load_pem_x509_certificate(Path(settings.certificate).read_bytes())
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return ""
    return next((name for name in names.get_values_for_type(x509.DNSName) if "*" not in name), "")


def fingerprint(folder: Folder, settings: Settings) -> str:
    """Return the SHA-256 of the certificate as browsers show it; empty where there is none of ours."""
    if settings.certificate or is_loopback(settings):
        return ""
    certificate = x509.load_pem_x509_certificate((folder.tls / "certificate.pem").read_bytes())
    return certificate.fingerprint(hashes.SHA256()).hex(":").upper()


def checked(given: Pair) -> Pair:
    """Return a pair of files after trying them."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(given.certificate, given.key, password="")
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise CertificateError(f"{given.certificate} and {given.key} cannot be used: {error}.") from error
    return given


def is_good(file: Path, address: str) -> bool:
    """Say whether a certificate is there, for that address, and for a month to come."""
    if not file.exists():
        return False
    certificate = x509.load_pem_x509_certificate(file.read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    lasts = certificate.not_valid_after_utc - tls.RENEW_BEFORE > datetime.datetime.now(datetime.UTC)
    return lasts and ipaddress.ip_address(address) in names.get_values_for_type(x509.IPAddress)


def make(own: Pair, authority_file: Path, address: str) -> None:
    """Make an authority for this one address, and a certificate of it.

    The authority's key is not kept: who trusts the authority trusts this certificate, and nothing else for ever.
    """
    authority_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Azure ML workshop at {address}")])
    issuer = name, authority_key.public_key()
    only = x509.NameConstraints([x509.IPAddress(ipaddress.ip_network(address))], None)
    authority = (
        tls.builder(name, authority_key.public_key(), issuer, tls.LEAF_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(tls.usage(signs_certificates=True), critical=True)
        .add_extension(only, critical=True)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        tls.builder(x509.Name([]), key.public_key(), issuer, tls.LEAF_LIFETIME)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(tls.usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    write_private(own.key, tls.key_pem(key))
    write_private(authority_file, authority.public_bytes(serialization.Encoding.PEM))
    write_private(own.certificate, certificate.public_bytes(serialization.Encoding.PEM))
