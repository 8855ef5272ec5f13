"""Each lesson on an Azure that it knows nothing of (tests/foreign_azure.py), but for those that need more than that.

That is what somebody brings along to Azure: a virtual machine of theirs and a Databricks workspace with clusters, a
cluster of Kubernetes with ``kubectl``, Docker. And one waits on Azure for a quarter of an hour, by the real clock,
before it says that a job waits for too long.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from course.catalogue import Lesson, find
from foreign_azure import ROOT, ForeignAzure, foreign_azure

SECONDS = 900
BROUGHT_ALONG = {"virtual_machine", "databricks", "kubernetes", "docker"}
WAITS_LONG = "monitor_batch_jobs"
LESSONS = [
    lesson for lesson in find(ROOT / "notebooks") if not BROUGHT_ALONG & set(lesson.needs) and lesson.id != WAITS_LONG
]


@pytest.fixture(scope="module")
def azure() -> Iterator[ForeignAzure]:
    with foreign_azure() as started:
        yield started


@pytest.mark.parametrize("lesson", LESSONS, ids=[lesson.id for lesson in LESSONS])
def test_lesson_runs_where_there_is_only_azure(azure: ForeignAzure, lesson: Lesson) -> None:
    azure.assert_passes(lesson, SECONDS)
