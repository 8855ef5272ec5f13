"""What lessons need on Azure: ``notebooks/azure.yml`` says what each need is, ``course.yml`` which lesson has which."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from course.catalogue import Lesson
from course.documents import DocumentError, read

FILE = "azure.yml"
OF_EVERY_LESSON = "workspace"


@dataclass(frozen=True)
class Need:
    """What a lesson with this need needs: providers, permitted actions, programs, variables, parameters filled in.

    ``only_on_azure``: the local service has a stand-in, which needs the actions and nothing else.
    """

    providers: Sequence[str] = ()
    actions: Sequence[str] = ()
    tools: Sequence[str] = ()
    variables: Sequence[str] = ()
    parameters: Sequence[str] = ()
    only_on_azure: bool = False


@dataclass(frozen=True)
class Needs:
    """All needs by their names, and for a VM size those that replace it, in order."""

    by_name: Mapping[str, Need]
    fallbacks: Mapping[str, Sequence[str]]

    def of(self, lesson: Lesson) -> list[Need]:
        """Return the needs of a lesson, that of every lesson first."""
        return [self.by_name[name] for name in (OF_EVERY_LESSON, *lesson.needs)]

    def sizes(self, size: str) -> list[str]:
        """Return a VM size and those that replace it."""
        return [size, *self.fallbacks.get(size, ())]


def find(folder: Path, lessons: Iterable[Lesson]) -> Needs:
    """Return what ``folder/azure.yml`` says.

    Raises:
        DocumentError: it is not as it should be, or lacks a need that one of the lessons has.
    """
    path = folder / FILE
    document = read(path, "azure")
    by_name = {name: Need(**fields) for name, fields in document["needs"].items()}
    faults = [
        f"{path.as_posix()} lacks the need {name} of {lesson.id}; it has {', '.join(by_name)}"
        for lesson in lessons
        for name in lesson.needs
        if name not in by_name
    ]
    if faults:
        raise DocumentError("\n".join(faults))
    return Needs(by_name, document["fallbacks"])


@dataclass(frozen=True)
class Machines:
    """So many machines that a lesson runs at once, of the size that one of its parameters names.

    Args:
        lesson: the lesson.
        parameter: the parameter's name.
        size: its value in the lesson as it is stored.
        kinds: how many machines at once, by what they are: ``cluster``, ``low_priority``, ``endpoint``.
    """

    lesson: Lesson
    parameter: str
    size: str
    kinds: Mapping[str, int]


def machines(lessons: Iterable[Lesson]) -> Iterator[Machines]:
    """Yield the machines of lessons, with the sizes that their parameters cells name."""
    import papermill  # slow to import, and many runs need it in their children only

    for lesson in lessons:
        declared = papermill.inspect_notebook(lesson.path) if lesson.machines else {}
        for parameter, kinds in lesson.machines.items():
            if parameter not in declared:
                raise DocumentError(f"{lesson.name}: its parameters cell lacks {parameter}, which {lesson.id} names.")
            yield Machines(lesson, parameter, declared[parameter]["default"].strip("\"'"), kinds)
