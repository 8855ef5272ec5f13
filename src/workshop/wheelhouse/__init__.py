"""A wheelhouse: a folder, on a stick perhaps, with all that ``make setup`` otherwise takes from a network.

``collect`` makes it, where there is a network; ``check`` judges it, where there is none, before anything is installed.
For that the two share what stands here, which needs nothing but Python's own library.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

WHEELS = "wheels"
TARBALLS = "npm"
ARCHIVE = "workbook.tar.gz"  # the workbook itself
ABOUT = "wheelhouse.json"  # for which Python and system it is; it is written first
SUMS = "SHA256SUMS"  # of every file, as sha256sum writes and reads it; it is written last
CHUNK = 2**20  # bytes


def digest(file: Path) -> str:
    """Return a file's SHA-256, in hexadecimal."""
    sha256 = hashlib.sha256()
    with file.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            sha256.update(chunk)
    return sha256.hexdigest()
