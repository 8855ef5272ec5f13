"""What a learner finds changed, in sentences that they read in JupyterLab."""

from __future__ import annotations

from collections import defaultdict
from enum import Enum

NAMED = 3  # of the files that a sentence is about; the others are counted


class Kind(Enum):
    """What has become of files; a sentence on one of them, and the beginning and the end of one on several."""

    UPDATED = ("{} was brought up to date.", "{} were brought up to date.")
    NEW = ("{} is new.", "{} are new.")
    BESIDE = (
        "You have changed {}, so it is as you left it; the trainer's newest is beside it.",
        "You have changed {}, so they are as you left them; the trainer's newest are beside them.",
    )
    DELETED = (
        "You have deleted {}, so the trainer's newest was not brought; a reset of the lesson brings it.",
        "You have deleted {}, so the trainer's newest were not brought; a reset of the lesson brings them.",
    )
    REMOVED = (
        "{} is no longer part of the workbook and was taken away; you had not changed it.",
        "{} are no longer part of the workbook and were taken away; you had not changed them.",
    )
    KEPT = (
        "{} is no longer part of the workbook; you have changed it, so it stays.",
        "{} are no longer part of the workbook; you have changed them, so they stay.",
    )
    MOVED = (
        "Where the workbook belongs lay something else of yours; it is now {}.",
        "Where the workbook belongs lay something else of yours; it is now {}.",
    )
    LATER = (
        "{} was just being changed, so the trainer's newest comes when your server is next started.",
        "{} were just being changed, so the trainer's newest come when your server is next started.",
    )


class News:
    """What has happened so far."""

    def __init__(self) -> None:
        self._files: dict[Kind, list[str]] = defaultdict(list)
        self._obstacles: dict[str, list[str]] = defaultdict(list)
        self._others: list[str] = []

    def tell(self, kind: Kind, file: str) -> None:
        """Note what became of a file."""
        self._files[kind].append(file)

    def tell_obstacle(self, file: str, error: OSError) -> None:
        """Note that nothing could be done with a file, and why."""
        self._obstacles[error.strerror or str(error)].append(file)

    def say(self, sentence: str) -> None:
        """Note a whole sentence."""
        self._others.append(sentence)

    def sentences(self) -> list[str]:
        """Return it all, a sentence for each kind."""
        obstacles = [
            f"{_names(files)} could not be brought: {reason}. Look at the rights of its folder, or ask for a reset."
            for reason, files in self._obstacles.items()
        ]
        told = [kind.value[len(files) > 1].format(_names(files)) for kind in Kind if (files := self._files.get(kind))]
        return [*self._others, *told, *obstacles]


def _names(files: list[str]) -> str:
    named = files if len(files) <= NAMED + 1 else files[:NAMED]
    rest = [f"{len(files) - len(named)} other files"] if len(named) < len(files) else []
    *first, last = [*named, *rest]
    return f"{', '.join(first)} and {last}" if first else last
