"""The certificate authority of one installation, and the certificates that the edge presents.

The authority's key never leaves the state folder, and the authority is never put in the system's trust store: only
processes that ask for it (``REQUESTS_CA_BUNDLE``, ``SSL_CERT_FILE``) trust it. It is name-constrained (RFC 5280,
4.2.1.10) to the domains that the edge serves, so that even they cannot be deceived about any other host.
"""

from __future__ import annotations

import datetime
import ipaddress
import os
import ssl
import sys
import tempfile
from functools import lru_cache
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from azureml_local.home import write_private

AUTHORITY_LIFETIME = datetime.timedelta(days=3650)
LEAF_LIFETIME = datetime.timedelta(days=397)  # the longest that browsers and Apple's TLS accept
RENEW_BEFORE = datetime.timedelta(days=30)


class Authority:
    """A certificate authority in a folder; made on first use.

    Args:
        folder: where ``ca.pem``, ``ca.key`` and the leaf certificates lie.
        domains: the DNS subtrees that it may certify.
    """

    def __init__(self, folder: Path, domains: tuple[str, ...]) -> None:
        self.folder = folder
        self.domains = domains
        self.certificate_file = folder / "ca.pem"
        self._key_file = folder / "ca.key"
        if not self._is_usable():
            self._create()
        self._certificate = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
        self._key = _load_key(self._key_file)
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self.context_for = lru_cache(maxsize=256)(self._context_for)

    def _is_usable(self) -> bool:
        if not (self.certificate_file.exists() and self._key_file.exists()):
            return False
        certificate = x509.load_pem_x509_certificate(self.certificate_file.read_bytes())
        permitted = certificate.extensions.get_extension_for_class(x509.NameConstraints).value.permitted_subtrees or []
        covers = {name.value for name in permitted} == set(self.domains)
        fits = certificate.public_key() == _load_key(self._key_file).public_key()
        # The clock may have been wrong when it was made.
        is_valid = certificate.not_valid_before_utc < _now() < certificate.not_valid_after_utc - RENEW_BEFORE
        return covers and fits and is_valid

    def _create(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "azureml-local (this machine only)")])
        constraints = x509.NameConstraints(
            permitted_subtrees=[x509.DNSName(domain) for domain in self.domains],
            # Naming only DNS subtrees would leave IP addresses free.
            excluded_subtrees=[
                x509.IPAddress(ipaddress.ip_network("0.0.0.0/0")),
                x509.IPAddress(ipaddress.ip_network("::/0")),
            ],
        )
        certificate = (
            builder(name, key.public_key(), (name, key.public_key()), AUTHORITY_LIFETIME)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage(signs_certificates=True), critical=True)
            .add_extension(constraints, critical=True)
            .sign(key, hashes.SHA256())
        )
        write_private(self._key_file, key_pem(key))
        write_private(self.certificate_file, certificate.public_bytes(serialization.Encoding.PEM))

    def _context_for(self, name: str) -> ssl.SSLContext:
        """Return a server's TLS context for ``name``, a host or a wildcard such as ``*.eastus.api.azureml.ms``."""
        issuer = self._certificate.subject, self._key.public_key()
        certificate = (
            # The subject stays empty: a host name may be longer than the 64 characters of a common name.
            builder(x509.Name([]), self._leaf_key.public_key(), issuer, LEAF_LIFETIME)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=True)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        _load(context, certificate.public_bytes(serialization.Encoding.PEM) + key_pem(self._leaf_key))
        return context


def self_signed(certificate_file: Path, key_file: Path, name: str) -> None:
    """Write a certificate that only who has its key can present, for processes of one service among themselves."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    own = key.public_key()
    certificate = builder(subject, own, (subject, own), LEAF_LIFETIME).sign(key, hashes.SHA256())
    write_private(key_file, key_pem(key))
    write_private(certificate_file, certificate.public_bytes(serialization.Encoding.PEM))


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def builder(
    subject: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    issuer: tuple[x509.Name, ec.EllipticCurvePublicKey],
    lifetime: datetime.timedelta,
) -> x509.CertificateBuilder:
    """Return what every certificate begins with: whose it is, its key, who says so, and from when to when it holds.

    The keys' identifiers are what clients demand that verify strictly, as Python does since 3.13 (RFC 5280, 4.2.1.1).
    """
    issuer_name, issuer_key = issuer
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer_name)
        .public_key(public_key)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key), critical=False)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_now() - datetime.timedelta(days=1))  # clocks of containers and hosts differ
        .not_valid_after(_now() + lifetime)
    )


def usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """Return what a key may be used for: an authority's or a server's."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """Load a certificate with its key, which the ssl module does from a file only: one in memory where there is that.

    A key on disk could outlive this process, and a full disk has no room for it.
    """
    with os.fdopen(os.memfd_create("leaf"), "wb") if sys.platform == "linux" else tempfile.NamedTemporaryFile() as file:
        file.write(pem)
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}" if sys.platform == "linux" else file.name)


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Return a key as a PEM file has it, unencrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError(f"{path} holds no elliptic-curve key")
    return key
