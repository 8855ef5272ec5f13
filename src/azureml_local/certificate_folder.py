"""A bundle of authorities as OpenSSL's folder of them (``CApath``), of which it reads only those that it needs.

OpenSSL 3 takes 25 ms of a processor to read the public authorities from a file, and requests has it do that for every
new connection: a tenth of all that a lesson takes of the processor. In a folder, a certificate's file is found by a
hash of its subject's name: https://docs.openssl.org/3.0/man1/openssl-rehash/, X509_NAME_hash(3).
"""

from __future__ import annotations

import hashlib
import re
import shutil
import ssl
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

BUNDLE = "bundle.pem"  # the bundle itself, for what reads files only
PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
SEQUENCE, SET, VERSION, UTF8 = 0x30, 0x31, 0xA0, 12  # tags of DER
# The kinds of string that are compared without regard to case and to how many spaces there are, and their encodings.
TEXTS = {12: "utf-8", 19: "ascii", 20: "latin-1", 22: "ascii", 26: "ascii", 28: "utf-32-be", 30: "utf-16-be"}
SPACES = re.compile(rb"[ \t\n\v\f\r]+")


def folder_of(bundle: Path) -> Path:
    """Return the folder with a bundle's certificates, made beside it where it is missing.

    Raises:
        ValueError: the bundle holds what is no certificate.
    """
    content = bundle.read_text()
    folder = bundle.with_name(f"{bundle.stem}-{hashlib.sha256(content.encode()).hexdigest()[:8]}")
    if not folder.exists():
        draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
        try:
            _fill(draft, content)
            draft.rename(folder)
        except OSError:
            if not folder.exists():  # otherwise another was faster
                raise
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return folder


def _fill(folder: Path, content: str) -> None:
    (folder / BUNDLE).write_text(content)
    alike: Counter[str] = Counter()
    for pem in PEM.findall(content):
        name = subject_hash(ssl.PEM_cert_to_DER_cert(pem))
        (folder / f"{name}.{alike[name]}").write_text(pem)
        alike[name] += 1


def subject_hash(certificate: bytes) -> str:
    """Return the hash by which OpenSSL finds a certificate, which is in DER: eight hexadecimal digits."""
    (_, whole), *_ = _parts(certificate)
    (_, signed), *_ = _parts(whole)
    fields = [content for tag, content in _parts(signed) if tag != VERSION]
    _, _, _, _, subject, *_ = fields  # serial number, algorithm, issuer, validity, subject: RFC 5280, 4.1
    canonical = b"".join(
        _der(SET, b"".join(sorted(_canonical(attribute) for _, attribute in _parts(name))))
        for _, name in _parts(subject)
    )
    return hashlib.sha1(canonical, usedforsecurity=False).digest()[3::-1].hex()


def _canonical(attribute: bytes) -> bytes:
    """Return an attribute of a name as OpenSSL compares it."""
    (identifier_tag, identifier), (tag, value) = _parts(attribute)
    if tag in TEXTS:
        text = value.decode(TEXTS[tag]).encode().strip(b" \t\n\v\f\r")
        tag, value = UTF8, SPACES.sub(b" ", text).lower()
    return _der(SEQUENCE, _der(identifier_tag, identifier) + _der(tag, value))


def _parts(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the tag and the content of each value that DER lines up. Raises ValueError where one is cut off."""
    while content:
        tag, length, start = content[0], int.from_bytes(content[1:2]), 2
        if length & 0x80:
            start += length & 0x7F
            length = int.from_bytes(content[2:start])
        if len(content) < start + length:
            raise ValueError("a certificate is cut off")
        yield tag, content[start : start + length]
        content = content[start + length :]


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:
        return bytes((tag, length)) + content
    size = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(size))) + size + content
