"""Whether lessons can run at all, and with which VM sizes: asked before the first is started."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from azureml_local import doctor
from azureml_local.home import Home
from course.catalogue import Lesson
from course.preflight import needs


@dataclass
class Readiness:
    """What has to be mended, a sentence each; and parameters that lessons take there, by id.

    ``shortcomings`` is what keeps every lesson from running; ``of_lessons`` what keeps some, by their ids.
    """

    shortcomings: list[str] = field(default_factory=list)
    of_lessons: dict[str, list[str]] = field(default_factory=dict)
    parameters: dict[str, dict[str, str]] = field(default_factory=dict)


def readiness(backend: str, lessons: Sequence[Lesson]) -> Readiness:
    """Examine the machine or, for ``azure``, the workspace, whose quota decides on VM sizes, by the pre-flight."""
    if backend == "azure":
        return _of_workspace(lessons)
    return Readiness([f"{one.what}: {one.found}. {one.remedy}" for one in doctor.check(Home()) if one.remedy])


def _of_workspace(lessons: Sequence[Lesson]) -> Readiness:
    from course.preflight.examination import examine  # Azure's clients, which a run of the local service does without

    found = Readiness()
    for row in examine("azure", lessons, needs.find(Path("notebooks"), lessons)):
        if row.verdict == "lacking":
            sentence = f"{row.check}: {row.found}. {row.next}."
            for sentences in [found.of_lessons.setdefault(one, []) for one in row.lessons] or [found.shortcomings]:
                sentences.append(sentence)
        if row.sets:
            lesson, parameter, size = row.sets
            found.parameters.setdefault(lesson, {})[parameter] = size
    return found
