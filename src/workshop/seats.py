"""The seats of the room: who has joined, under which name, and by which PIN they come back."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import sqlite3
import time
import unicodedata
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SHORTEST_PIN, LONGEST_PIN, LONGEST_NAME = 4, 64, 40  # characters
JOINERS = "\u200c\u200d"  # not printable, yet part of names in Persian and in Hindi
NO_PIN = b""  # whoever comes next with the name chooses one
SCHEMA = """CREATE TABLE IF NOT EXISTS seats (
    number INTEGER PRIMARY KEY, user TEXT NOT NULL UNIQUE, name TEXT NOT NULL, key TEXT NOT NULL UNIQUE,
    salt BLOB NOT NULL, pin BLOB NOT NULL, joined REAL NOT NULL)"""


class SeatError(Exception):
    """No seat was taken; the message is for the learner."""


class NameRefusedError(SeatError):
    """A name that cannot be used."""


class PinError(SeatError):
    """A PIN that cannot be used."""


class WrongPinError(SeatError):
    """Somebody of that name has joined, with another PIN."""


class RoomFullError(SeatError):
    """Every seat is taken."""


@dataclass(frozen=True)
class Seat:
    """A taken seat: its number (from 1 on), its user at the hub, the learner's name, when they joined (since 1970)."""

    number: int
    user: str
    name: str
    joined: float


class Seats:
    """The seats in their database, which the hub, the board and the command line use at once.

    Args:
        file: the database; where it is missing it is made, readable by its owner only.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        os.close(os.open(file, os.O_CREAT | os.O_RDWR, 0o600))
        with self._database() as database:
            database.execute(SCHEMA)

    @contextmanager
    def _database(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self._file, timeout=30, isolation_level=None)
        try:
            connection.execute("BEGIN IMMEDIATE")
            yield connection
            connection.execute("COMMIT")
        finally:
            connection.close()  # what was not committed was not done

    def all(self) -> list[Seat]:
        """Return the taken seats, by number."""
        with self._database() as database:
            return [Seat(*row) for row in database.execute("SELECT number, user, name, joined FROM seats ORDER BY 1")]

    def join(self, name: str, pin: str, users: Mapping[int, str]) -> Seat:
        """Return the seat of that name; the next free one where nobody has it. Takes a twentieth of a second.

        Args:
            name: as it was typed.
            pin: the learner's own.
            users: the seats that there are, and the user at the hub of each.

        Raises:
            NameRefusedError, PinError: they cannot be used.
            WrongPinError: the name is taken, with another PIN.
            RoomFullError: the name is new, and no seat is free.
        """
        shown = shown_name(name)
        require_pin(pin)
        return self._come_back(shown, pin) or self._take(shown, pin, users) or self.join(name, pin, users)

    def _come_back(self, name: str, pin: str) -> Seat | None:
        with self._database() as database:
            found = database.execute(
                "SELECT salt, pin, number, user, name, joined FROM seats WHERE key = ?", (key_of(name),)
            ).fetchone()
        if found is None:
            return None
        salt, hashed, *seat = found
        given = hash_pin(pin, salt)  # slow on purpose: not while the database is locked
        if hashed == NO_PIN:
            self._write_pin(seat[0], given)
        elif not hmac.compare_digest(given, hashed):
            raise WrongPinError(
                f"Somebody has joined as {seat[2]} with another PIN. If that was you, try your PIN again, or ask "
                f"the trainer for a new one. If it was not, add something to your name, such as a last name."
            )
        return Seat(*seat)

    def _take(self, name: str, pin: str, users: Mapping[int, str]) -> Seat | None:
        """Return the next free seat, now taken; None where another has just joined with that name."""
        salt = secrets.token_bytes(16)
        hashed = hash_pin(pin, salt)
        with self._database() as database:
            if database.execute("SELECT 1 FROM seats WHERE key = ?", (key_of(name),)).fetchone():
                return None
            taken = {number for (number,) in database.execute("SELECT number FROM seats")}
            free = next((number for number in sorted(users) if number not in taken), None)
            if free is None:
                raise RoomFullError(
                    f"All {len(users)} seats are taken. If you have joined before, use the same name as then; "
                    "else ask the trainer, who can add seats."
                )
            seat = Seat(free, users[free], name, time.time())
            row = (seat.number, seat.user, seat.name, key_of(name), salt, hashed, seat.joined)
            database.execute("INSERT INTO seats VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return seat

    def _write_pin(self, number: int, hashed: bytes) -> None:
        with self._database() as database:
            database.execute("UPDATE seats SET pin = ? WHERE number = ?", (hashed, number))

    def forget_pin(self, name: str) -> Seat | None:
        """Let whoever next joins with that name choose a PIN; return the seat, or None where nobody has the name."""
        found = next((seat for seat in self.all() if key_of(seat.name) == key_of(name)), None)
        if found:
            self._write_pin(found.number, NO_PIN)
        return found


def shown_name(name: str) -> str:
    """Return a name as others are shown it.

    Raises:
        NameRefusedError: it is empty, too long, or holds characters that cannot be seen.
    """
    shown = " ".join(unicodedata.normalize("NFC", name).split())
    if not any(unicodedata.category(one)[0] in "LNS" for one in shown):
        raise NameRefusedError("Type your name: it needs a letter, at least.")
    if len(shown) > LONGEST_NAME:
        raise NameRefusedError(f"That name has {len(shown)} characters: type one of at most {LONGEST_NAME}.")
    if not all(one.isprintable() or one in JOINERS for one in shown):
        raise NameRefusedError("That name holds characters that cannot be seen: type it anew, rather than pasting it.")
    return shown


def key_of(name: str) -> str:
    """Return what two spellings of one name have in common."""
    plain = "".join(one for one in name if one not in JOINERS)
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", plain).casefold()).split())


def require_pin(pin: str) -> None:
    """Check a PIN.

    Raises:
        PinError: it is too short or too long.
    """
    if len(pin.strip()) < SHORTEST_PIN:
        raise PinError(f"Choose a PIN of at least {SHORTEST_PIN} characters; digits, letters, whatever you remember.")
    if len(pin) > LONGEST_PIN:
        raise PinError(f"That PIN has {len(pin)} characters: choose one of at most {LONGEST_PIN}.")


def hash_pin(pin: str, salt: bytes) -> bytes:
    """Return a PIN's hash: 16 MB and a twentieth of a second of a processor."""
    secret = unicodedata.normalize("NFC", pin).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(secret, salt=salt, n=2**14, r=8, p=1, dklen=32)
