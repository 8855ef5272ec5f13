"""What was brought, noted in the copy itself, so that who deletes the copy gets a whole new one."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import asdict, dataclass, field
from pathlib import Path

from workshop.copying.trees import Content

NAME = ".brought.json"
SCHEMA = 1
MOST_BYTES = 20 * 2**20  # a manifest of a hundred thousand files; more has somebody else written


@dataclass
class Entry:
    """What is known of a file that was brought.

    Attributes:
        versions: the contents by which it is still ours. Two after a bring that was interrupted: it may hold either.
        arrived: whether it was there once, so that it is the learner who has deleted it if it is not.
        offered: the digest of the trainer's version that the learner has, has beside theirs, or did without.
        beside: the path of the file that this is the new version of; "" for that file itself.
    """

    versions: list[Content] = field(default_factory=list)
    arrived: bool = False
    offered: str = ""
    beside: str = ""

    @property
    def sizes(self) -> frozenset[int]:
        """The sizes that it has if it is still ours."""
        return frozenset(version.size for version in self.versions)


class Manifest(dict[str, Entry]):
    """Entries by path."""

    @classmethod
    def read(cls, root: Path) -> Manifest:
        """Read it. One that is missing or spoilt is as good as none: all that is there then counts as the learner's."""
        try:
            with os.fdopen(os.open(root / NAME, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode) or status.st_size > MOST_BYTES:
                    return cls()
                noted = json.load(file)
            if noted["schema"] != SCHEMA:
                return cls()
            return cls({path: _entry(entry) for path, entry in noted["files"].items() if _stays_inside(path)})
        except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            return cls()

    def write(self, root: Path, staging: Path) -> None:
        """Write it, all or nothing.

        Raises:
            OSError: it could not be; what was there still is.
        """
        staged = staging / NAME
        text = json.dumps({"schema": SCHEMA, "files": {path: asdict(entry) for path, entry in self.items()}})
        with staged.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        staged.replace(root / NAME)


def _entry(noted: dict[str, object]) -> Entry:
    versions = [Content(int(one["size"]), str(one["digest"])) for one in noted["versions"]]  # type: ignore[attr-defined]
    return Entry(versions, bool(noted["arrived"]), str(noted["offered"]), str(noted["beside"]))


def _stays_inside(path: str) -> bool:
    return "\0" not in path and all(part not in ("", ".", "..") for part in path.split("/"))
