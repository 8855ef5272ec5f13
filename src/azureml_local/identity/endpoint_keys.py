"""The two keys of an online endpoint: one can be replaced while callers use the other."""

from __future__ import annotations

import re
import secrets
import string
from collections.abc import Mapping

NAMES = {"Primary": "primaryKey", "Secondary": "secondaryKey"}
ALPHABET = string.ascii_letters + string.digits
LENGTH = 32
# What can stand in an Authorization header and comes out of it as it went in (RFC 9110, 5.5 and 11.4).
USABLE = re.compile(r"[!-~]+")


def new_key() -> str:
    """Return a key that nobody finds by trying."""
    return "".join(secrets.choice(ALPHABET) for _ in range(LENGTH))


def new_keys(given: Mapping[str, str | None]) -> dict[str, str]:
    """Return the keys of a new endpoint: those that its maker gives, by their names, and new ones."""
    return {name: given.get(name) or new_key() for name in NAMES.values()}


def is_usable(key: str) -> bool:
    """Say whether a caller could send a key."""
    return USABLE.fullmatch(key) is not None
