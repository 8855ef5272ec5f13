"""The whole pre-flight, in order: what needs a client, an identity or a workspace is left out where there is none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from azure.core.exceptions import AzureError

from course.catalogue import Lesson
from course.preflight.checks import (
    Course,
    Row,
    check_identity,
    check_permissions,
    check_providers,
    check_sizes,
    check_this_machine,
    check_workspace,
    total,
)
from course.preflight.needs import Needs
from course.preflight.resource_manager import Refused, ResourceManager
from course.preflight.sizes import Region
from helpers.connection import client_of_config, connect

__all__ = ["Row", "examine"]
DOWNLOAD = "portal: your workspace > Overview > Download config.json; put it into the course's folder"


def examine(backend: str, lessons: Sequence[Lesson], needs: Needs) -> Iterator[Row]:
    """Yield what is found out about a workspace, as it becomes known. Nothing is made.

    Args:
        backend: ``azure``, or ``local``, which starts the local service unless it runs.
        lessons: those that are to run there.
        needs: what they need.
    """
    yield total(lessons)
    try:
        client = connect(backend) if backend == "local" else client_of_config()
    except (AzureError, RuntimeError) as error:
        said = str(error).strip().splitlines()[0]
        yield Row("config.json", "lacking", said, "the workspace's file", DOWNLOAD)
        return
    workspace_name = str(client.workspace_name)
    azure = ResourceManager(client.subscription_id, client.resource_group_name, workspace_name)
    course = Course(backend, lessons, needs, azure)
    yield Row("config.json" if backend == "azure" else "settings", "ok", workspace_name)
    yield (identity := check_identity())
    if identity.verdict != "ok":
        return
    yield (workspace := check_workspace(course))
    yield from check_providers(course)
    if workspace.verdict == "ok":
        yield from check_permissions(course)
        yield from _sizes(course, workspace.found)
    yield from check_this_machine(course)


def _sizes(course: Course, location: str) -> Iterator[Row]:
    try:
        region = Region(course.azure.sizes(location), course.azure.limits(location), course.azure.workspace)
    except Refused as refused:
        yield Row("VM sizes", "note", f"may not be read ({refused.code})", "quota", "ask who owns the subscription")
        return
    yield from check_sizes(course, region)
