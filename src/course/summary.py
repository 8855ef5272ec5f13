"""The folder of a run, what programs read in it, and the link to the newest one."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from course.execute import Result


def new_folder(output: Path) -> Path:
    """Makes ``output/<time in UTC>``, whose names sort as the runs were started."""
    folder = output / datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%S.%fZ")
    folder.mkdir(parents=True)
    return folder


def write(folder: Path, set_name: str, results: Sequence[Result]) -> None:
    """Writes ``summary.json``: the parameter set and, for each notebook in order, its result; seconds to 0.01."""
    summary = {"schema": 1, "set": set_name, "notebooks": [_entry(result) for result in results]}
    (folder / "summary.json").write_text(json.dumps(summary, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _entry(result: Result) -> dict[str, object]:
    return {
        "path": result.notebook.name,
        "part": result.notebook.part,
        "status": result.status,
        "seconds": round(result.seconds, 2),
        "cell": result.cell,
        "error": result.error,
    }


def point_latest_at(folder: Path) -> None:
    """Makes the link ``latest`` beside ``folder`` point at it; a reader finds the old run or the new, never none."""
    link = folder.with_name(f".latest-{folder.name}")
    link.symlink_to(folder.name)
    link.replace(folder.with_name("latest"))
