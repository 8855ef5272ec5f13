"""The folder of a run, what programs read in it, and the link to the newest one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from course.execute import Result
from course.phases import seconds_by_kind


@dataclass(frozen=True)
class About:
    """A run as a whole: ``name`` tags what its lessons made, ``began`` is in seconds since 1970.

    ``spent_usd`` is what the lessons that were started cost on Azure by ``course.yml``, whatever the backend.
    """

    name: str
    set_name: str
    backend: str
    began: float
    seconds: float
    budget_usd: float | None = None
    spent_usd: float = 0.0


def new_folder(output: Path) -> Path:
    """Makes ``output/<time in UTC>``, whose names sort as the runs were started."""
    folder = output / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%fZ")
    folder.mkdir(parents=True)
    return folder


def write(folder: Path, about: About, results: Sequence[Result]) -> None:
    """Writes ``summary.json``: the run and, for each notebook in order, its result; seconds and USD to 0.01.

    Later versions add fields and change none, so that what reads schema 1 goes on doing so.
    """
    summary = {
        "schema": 1,
        "set": about.set_name,
        "run": about.name,
        "backend": about.backend,
        "started": datetime.fromtimestamp(about.began, UTC).isoformat(timespec="seconds"),
        "seconds": round(about.seconds, 2),
        "budget_usd": about.budget_usd,
        "azure_usd": round(about.spent_usd, 2),
        "notebooks": [_entry(about, result) for result in results],
    }
    (folder / "summary.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _entry(about: About, result: Result) -> dict[str, object]:
    return {
        "path": result.notebook.name,
        "part": result.notebook.part,
        "status": result.status,
        "seconds": round(result.seconds, 2),
        "cell": result.cell,
        "error": result.error,
        "reason": result.reason,
        "started_after": round(result.began - about.began, 2) if result.began else None,
        "seconds_by_kind": {kind: round(seconds, 2) for kind, seconds in seconds_by_kind(result.phases).items()},
    }


def point_latest_at(folder: Path) -> None:
    """Makes the link ``latest`` beside ``folder`` point at it; a reader finds the old run or the new, never none."""
    link = folder.with_name(f".latest-{folder.name}")
    link.symlink_to(folder.name)
    link.replace(folder.with_name("latest"))
