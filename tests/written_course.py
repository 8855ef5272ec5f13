"""A course in a temporary folder: notebooks, and a ``course.yml`` that lists those that are there."""

from __future__ import annotations

from pathlib import Path

import nbformat
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

DECLARED = 'backend = "local"  # where it runs\nfast = True  # smaller data'


def fields(path: str, **changed: object) -> dict[str, object]:
    """Return a right entry for a lesson, with some fields changed."""
    return {
        "id": "lesson_" + path.removesuffix(".ipynb").replace("/", "_"),
        "path": path,
        "title": "A lesson",
        "what": "do something",
        "minutes": 10,
        "azure": {"minutes": 20, "usd": 0.05},
        "sets": {"fast": {"fast": True}, "full": {"fast": False}},
        "timeout_seconds": 300,
        "side_by_side": False,
        **changed,
    }


def list_lessons(folder: Path, **changed: object) -> Path:
    """Write ``folder/notebooks/course.yml`` for the notebooks that are there, and return its path."""
    parts: dict[str, list[dict[str, object]]] = {}
    for path in sorted((folder / "notebooks").glob("[0-9][0-9]_*/[0-9][0-9]_*.ipynb")):
        name = f"{path.parent.name}/{path.name}"
        parts.setdefault(name[:2], []).append(fields(name, **changed))
    document = {"parts": [{"part": part, "title": part, "lessons": lessons} for part, lessons in parts.items()]}
    course = folder / "notebooks/course.yml"
    course.write_text(yaml.safe_dump(document), encoding="utf-8")
    return course


def write_lesson(folder: Path, name: str, *sources: str, declared: str = DECLARED) -> Path:
    """Write a notebook: a title, its parameters, and a code cell for each source."""
    parameters = new_code_cell(declared, metadata={"tags": ["parameters"]})
    cells = [new_markdown_cell(f"# Lesson {name}"), parameters, *map(new_code_cell, sources)]
    metadata = {"kernelspec": {"name": "python3", "display_name": "", "language": "python"}}
    path = folder / "notebooks" / f"{name}.ipynb"
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=cells, metadata=metadata), path)
    return path
