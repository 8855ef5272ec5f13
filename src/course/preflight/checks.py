"""The checks, one a function: each yields the rows of the table that say what it has found."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from azure.core.exceptions import ClientAuthenticationError

from course.catalogue import Lesson
from course.preflight.needs import Need, Needs, machines
from course.preflight.permissions import permits
from course.preflight.resource_manager import Refused, ResourceManager, signed_in_as
from course.preflight.sizes import Region, choose

Verdict = Literal["ok", "note", "lacking"]
REGISTERED = "Registered"
ML_WORKSPACE = "microsoft.machinelearningservices/workspaces/"
ROLES = "microsoft.authorization/"


@dataclass(frozen=True)
class Row:
    """A line of the table: what was checked, found and wanted, and what to do next where something is to be done.

    ``sets``: a lesson's id, its parameter, and the value that helps. ``lessons``: the ids of those that it concerns;
    none of them where it concerns all.
    """

    check: str
    verdict: Verdict
    found: str
    wanted: str = ""
    next: str = ""
    sets: tuple[str, str, str] | None = None
    lessons: Sequence[str] = ()


@dataclass(frozen=True)
class Course:
    """What is to be checked: lessons with their needs, on which backend, by asking whom."""

    backend: str
    lessons: Sequence[Lesson]
    needs: Needs
    azure: ResourceManager

    def having(self, has: Callable[[Need], Iterable[str]]) -> dict[str, list[str]]:
        """Return what needs have (``has`` takes it from one), each with the ids of the lessons that need it."""
        found: dict[str, list[str]] = {}
        for lesson in self.lessons:
            for one in dict.fromkeys(name for need in self.needs.of(lesson) for name in has(need)):
                found.setdefault(one, []).append(lesson.id)
        return found

    def on_this_backend(self, need: Need, names: Iterable[str]) -> Iterable[str]:
        """Return the names, or none where the local service stands in for what has them."""
        return () if need.only_on_azure and self.backend == "local" else names


def check_identity() -> Row:
    """Say as whom this process is signed in."""
    try:
        return Row("signed in", "ok", signed_in_as())
    except ClientAuthenticationError as error:
        first = str(error).strip().splitlines()[0]
        return Row("signed in", "lacking", first, "somebody", "az login")


def check_workspace(course: Course) -> Row:
    """Say whether the workspace can be reached, and where it lies."""
    try:
        return Row("workspace", "ok", course.azure.location())
    except Refused as refused:
        advice = "look at the three names in config.json"
        if refused.status == 403:
            advice = "ask for the role AzureML Data Scientist, or Contributor, at the workspace"
        return Row("workspace", "lacking", str(refused), "an answer", advice)


def check_providers(course: Course) -> Iterator[Row]:
    """Say whether the subscription is registered for each provider."""
    needed = course.having(lambda need: course.on_this_backend(need, need.providers))
    try:
        states = course.azure.providers()
    except Refused as refused:
        advice = "ask who owns the subscription: az provider list --query \"[?registrationState=='Registered']\""
        yield Row("providers", "note", f"may not be read ({refused.code})", "registered", advice)
        return
    good = [name for name in needed if states.get(name.lower()) == REGISTERED]
    if good:
        yield Row("providers", "ok", f"{len(good)} registered", ", ".join(_short(name) for name in good))
    for name in needed:
        if name not in good:
            found = states.get(name.lower(), "not known to Azure")
            advice = f"az provider register --namespace {name}   (for: {_some(needed[name])})"
            yield Row(_short(name), "lacking", found, REGISTERED, advice, lessons=needed[name])


def check_permissions(course: Course) -> Iterator[Row]:
    """Say whether the caller's roles permit what the lessons do."""
    needed = course.having(lambda need: need.actions)
    for scope, title in ((course.azure.workspace, "roles, workspace"), (course.azure.group, "roles, group")):
        actions = [action for action in needed if _is_in_workspace(action) == (scope == course.azure.workspace)]
        if not actions:
            continue
        try:
            permissions = course.azure.permissions(scope)
        except Refused as refused:
            advice = "ask who owns it whether your role permits: " + ", ".join(map(_short, actions))
            yield Row(title, "note", f"may not be read ({refused.code})", f"{len(actions)} actions", advice)
            continue
        good = [action for action in actions if permits(permissions, action)]
        if good:
            yield Row(title, "ok", f"{len(good)} actions permitted", f"{len(actions)} actions")
        for action in actions:
            if action not in good:
                role = "User Access Administrator" if action.lower().startswith(ROLES) else "Contributor"
                advice = f"ask for a role with it, such as {role}   (for: {_some(needed[action])})"
                lessons = needed[action]
                yield Row(_short(action), "lacking", "not permitted", "permitted", advice, lessons=lessons)


def check_sizes(course: Course, region: Region) -> Iterator[Row]:
    """Say for each lesson's machines which size the region has room for."""
    for wanted in machines(course.lessons):
        count = ", ".join(f"{number} x {kind}" for kind, number in wanted.kinds.items())
        fit, tried = choose(region, course.needs, wanted)
        title = f"{wanted.lesson.id}: {wanted.parameter}"
        why = "; ".join(f"{one.size} {one.reason}" for one in tried)
        if fit is None:
            advice = "ask for more quota (portal: Quotas), or set another size in its parameters cell"
            yield Row(title, "lacking", why, f"{wanted.size}, {count}", advice, lessons=[wanted.lesson.id])
            continue
        price = region.price(fit.size)
        found = fit.size + (f", {price:.2f} USD an hour" if price is not None else "")
        if not tried:
            yield Row(title, "ok", found, count)
            continue
        advice = f'{why}. Set {wanted.parameter} = "{fit.size}" in its parameters cell; `make run` does so itself'
        sets = (wanted.lesson.id, wanted.parameter, fit.size)
        yield Row(title, "note", found, f"{wanted.size}, {count}", advice, sets=sets)


def check_this_machine(course: Course) -> Iterator[Row]:
    """Say whether programs and variables are here that lessons need, and which parameters have to be filled in."""
    for name, lessons in course.having(lambda need: course.on_this_backend(need, need.tools)).items():
        where = shutil.which(name)
        advice = "" if where else f"install {name}   (for: {_some(lessons)})"
        verdict: Verdict = "ok" if where else "lacking"
        yield Row(f"program {name}", verdict, where or "not here", "on PATH", advice, lessons=lessons)
    for name, lessons in course.having(lambda need: course.on_this_backend(need, need.variables)).items():
        verdict, found = ("ok", "set") if os.environ.get(name) else ("lacking", "not set")
        advice = "" if verdict == "ok" else f"set it in the shell that starts Jupyter   (for: {_some(lessons)})"
        yield Row(name, verdict, found, "set", advice, lessons=lessons)
    for name, lessons in course.having(lambda need: course.on_this_backend(need, need.parameters)).items():
        yield Row(name, "note", "cannot be known here", "filled in", f"in the parameters cell of {_some(lessons)}")


def total(lessons: Sequence[Lesson]) -> Row:
    """Say how long the lessons take on Azure, one after another, and what they cost."""
    minutes = sum(lesson.azure_minutes for lesson in lessons)
    usd = sum(lesson.azure_usd for lesson in lessons)
    found = f"about {minutes // 60} h {minutes % 60:02d} min and {usd:.2f} USD"
    return Row(f"lessons: {len(lessons)}", "ok", found, "on Azure, one after another, at East US's prices")


def _is_in_workspace(action: str) -> bool:
    return action.lower().startswith((ML_WORKSPACE, ROLES))


def _short(name: str) -> str:
    return name.removeprefix("Microsoft.").removeprefix("MachineLearningServices/workspaces/")


def _some(lessons: Sequence[str]) -> str:
    return ", ".join(lessons[:3]) + (f" and {len(lessons) - 3} more" if len(lessons) > 3 else "")
