"""Which lessons the workbook has, in the order in which they are read: what ``notebooks/course.yml`` says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from course.documents import DocumentError, read

FILE = "course.yml"
_PATTERN = "[0-9][0-9]_*/[0-9][0-9]_*.ipynb"


class NotFoundError(LookupError):
    """The workbook lacks what was asked for; the message is a sentence that names what it has."""


@dataclass(frozen=True)
class Notebook:
    """A notebook. ``path`` is relative to the working directory: ``notebooks/01_part/01_lesson.ipynb``."""

    path: Path

    @property
    def name(self) -> str:
        """The path with forward slashes, on every system."""
        return self.path.as_posix()

    @property
    def part(self) -> str:
        """The two digits of the folder, such as ``02``."""
        return self.path.parent.name[:2]


@dataclass(frozen=True)
class Lesson(Notebook):
    """A lesson as ``course.yml`` describes it; ``sets`` holds the parameters of each parameter set."""

    id: str
    title: str
    what: str
    minutes: int
    azure_minutes: int
    azure_usd: float
    timeout_s: float
    side_by_side: bool
    sets: Mapping[str, Mapping[str, object]] = field(hash=False)
    needs: tuple[str, ...] = ()  # on Azure: names in azure.yml
    # On Azure: for each parameter that is a VM size, how many machines of it run at once, by what they are.
    machines: Mapping[str, Mapping[str, int]] = field(default_factory=dict, hash=False)

    @property
    def solutions(self) -> Path:
        """The file with its exercises, solved."""
        return self.path.parent / "solutions" / f"{self.path.stem}.py"


@dataclass(frozen=True)
class Part:
    """A part of the course: its two digits, its title, and its lessons in order."""

    digits: str
    title: str
    lessons: Sequence[Lesson]


def find(folder: Path) -> list[Lesson]:
    """The lessons that ``folder/course.yml`` lists, in its order; raises as ``find_parts`` does."""
    return [lesson for part in find_parts(folder) for lesson in part.lessons]


def find_parts(folder: Path) -> list[Part]:
    """The parts that ``folder/course.yml`` lists, in its order.

    Raises NotFoundError where there is no such file, and DocumentError where the file is not as it should be, lists a
    notebook that is not there, or lacks one that is.
    """
    course = folder / FILE
    if not course.is_file():
        raise NotFoundError(f"There is no {course.as_posix()}. Run this in the workbook's folder.")
    document = read(course, "course")
    parts = [
        Part(part["part"], part["title"], [_lesson(folder, fields) for fields in part["lessons"]])
        for part in document["parts"]
    ]
    faults = [*_faults(document), *_differences(folder, [lesson for part in parts for lesson in part.lessons])]
    if faults:
        raise DocumentError("\n".join(f"{course.as_posix()}: {fault}" for fault in faults))
    return parts


def _lesson(folder: Path, fields: Mapping[str, Any]) -> Lesson:
    return Lesson(
        path=folder / fields["path"],
        id=fields["id"],
        title=fields["title"],
        what=fields["what"],
        minutes=fields["minutes"],
        azure_minutes=fields["azure"]["minutes"],
        azure_usd=fields["azure"]["usd"],
        timeout_s=fields["timeout_seconds"],
        side_by_side=fields["side_by_side"],
        sets=fields["sets"],
        needs=tuple(fields["azure"].get("needs", ())),
        machines=fields["azure"].get("machines", {}),
    )


def _faults(document: Mapping[str, Any]) -> Iterator[str]:
    """What no schema says: parts and lessons are in order, none is there twice, each lies in its part's folder."""
    digits = [part["part"] for part in document["parts"]]
    if digits != sorted(set(digits)):
        yield f"the parts are {', '.join(digits)}; right are two digits that count up, each once"
    seen: set[str] = set()
    for part in document["parts"]:
        for lesson in part["lessons"]:
            if not lesson["path"].startswith(part["part"]):
                yield f'{lesson["path"]} stands in part "{part["part"]}"; right is the part of its folder'
            for name in (lesson["id"], lesson["path"]):
                if name in seen:
                    yield f"{name} is there twice; right is once"
                seen.add(name)


def _differences(folder: Path, lessons: Sequence[Lesson]) -> Iterator[str]:
    listed = {lesson.path for lesson in lessons}
    for lesson in lessons:
        if not lesson.path.is_file():
            yield f"{lesson.name} is listed, but there is no such file"
    for path in sorted(folder.glob(_PATTERN)):
        if path not in listed:
            yield f"{path.as_posix()} is not listed; add it to its part, or move it out of the part's folder"


def select(lessons: Sequence[Lesson], part: str | None, names: Sequence[str]) -> list[Lesson]:
    """Those of ``part`` (all where it is None) that ``names`` mean (all where it is empty), in the order given.

    A name is the end of a notebook's path, with or without ``.ipynb``: ``01_deploy_with_keys``,
    ``02_realtime/01_deploy_with_keys``.
    Raises NotFoundError for a part or a name that no notebook has.
    """
    in_part = [lesson for lesson in lessons if part in (None, lesson.part)]
    if not in_part:
        parts = sorted({lesson.path.parent.name for lesson in lessons})
        raise NotFoundError(f'There is no part "{part}". The parts are {", ".join(parts)}: give the two digits.')
    for name in names:
        if not any(_means(name, lesson) for lesson in in_part):
            known = ", ".join(lesson.name for lesson in in_part)
            where = "" if part is None else f" in part {part}"
            raise NotFoundError(f'There is no notebook "{name}"{where}. There are {known}.')
    return [lesson for lesson in in_part if not names or any(_means(name, lesson) for name in names)]


def _means(name: str, notebook: Notebook) -> bool:
    wanted = Path(name.removesuffix(".ipynb")).parts
    return bool(wanted) and notebook.path.absolute().with_suffix("").parts[-len(wanted) :] == wanted
