"""The workflows of ``docs/workflows``, which people copy: what they name exists, and Azure is left clean.

Their syntax, with expressions and contexts, was checked by actionlint; here is checked what it does not know.
https://docs.github.com/actions/reference/workflows-and-actions/workflow-syntax
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from course import run, sweep
from course.catalogue import find

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "docs/workflows").glob("*.yml"))
TRIGGERS = True  # what YAML 1.1 makes of the key "on"
# Actions whose major version was looked up, and the inputs that are used.
ACTIONS = {
    "actions/checkout@v4": set(),
    "actions/setup-python@v5": {"python-version", "cache", "cache-dependency-path"},
    "actions/upload-artifact@v4": {"name", "path", "if-no-files-found"},
    "azure/login@v2": {"client-id", "tenant-id", "subscription-id"},
}


def read(file: Path) -> dict[Any, Any]:
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def steps(file: Path) -> list[dict[str, Any]]:
    return read(file)["jobs"]["lessons"]["steps"]


def commands(file: Path, word: str) -> list[list[str]]:
    """The commands of its steps that begin with ``word``, in words."""
    lines = [line.strip() for step in steps(file) for line in step.get("run", "").splitlines()]
    return [shlex.split(line) for line in lines if line.startswith(word)]


WEEKLY = next(file for file in FILES if file.stem == "weekly-azure")
NIGHTLY = next(file for file in FILES if file.stem == "nightly-local")


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_what_a_workflow_names_exists(file: Path) -> None:
    for step in steps(file):
        assert ("uses" in step) != ("run" in step)
        if "uses" in step:
            assert set(step.get("with", {})) <= ACTIONS[step["uses"]]
    targets = set(re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M))
    for words in commands(file, "make"):
        assert words[1] in targets
    for words in commands(file, ".venv/bin/python"):
        assert words[1] == "-m"
        assert (ROOT / "src" / Path(*words[2].split("."))).with_suffix(".py").is_file() or (
            ROOT / "src" / Path(*words[2].split(".")) / "__main__.py"
        ).is_file()
    for path in re.findall(r"cache-dependency-path: (\S+)", file.read_text(encoding="utf-8")):
        assert (ROOT / path).is_file()


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_options_are_those_of_the_commands(file: Path) -> None:
    parse = {"course.run": run._parse, "course.sweep": sweep._parse}
    values = {"$PART": "02", "$RUN": "weekly-1-1-part-02", "$BUDGET": "4"}
    for words in commands(file, ".venv/bin/python"):
        if words[2] in parse:
            parse[words[2]]([values.get(word, word) for word in words[3:]])


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_no_expression_stands_in_a_shell_line(file: Path) -> None:
    """Whoever may start a workflow could otherwise run commands by an input."""
    assert not [step for step in steps(file) if "${{" in step.get("run", "")]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_it_may_read_only_and_has_an_end(file: Path) -> None:
    workflow = read(file)
    assert workflow["permissions"].pop("contents") == "read"
    assert workflow["permissions"] in ({}, {"id-token": "write"})
    assert workflow["jobs"]["lessons"]["timeout-minutes"] < 360
    assert {"schedule", "workflow_dispatch"} <= set(workflow[TRIGGERS])


def test_on_azure_the_sweeper_and_the_report_come_whatever_happens() -> None:
    (lessons,) = (n for n, step in enumerate(steps(WEEKLY)) if "course.run" in step.get("run", ""))
    after = steps(WEEKLY)[lessons + 1 :]
    assert all(step["if"] == "always()" for step in after)
    assert any("course.sweep" in step.get("run", "") and "--yes" in step["run"] for step in after)
    assert after[-1]["uses"].startswith("actions/upload-artifact")
    assert any("course.preflight" in step.get("run", "") for step in steps(WEEKLY)[:lessons])
    (run_words,), (sweep_words,) = (
        [words for words in commands(WEEKLY, ".venv/bin/python") if words[2] == module]
        for module in ("course.run", "course.sweep")
    )
    for words in (run_words, sweep_words):
        assert words[words.index("--run") + 1] == "$RUN"
        assert words[words.index("--backend") + 1] == "azure"
    assert "--budget" in run_words


def test_on_azure_every_part_has_its_turn() -> None:
    strategy = read(WEEKLY)["jobs"]["lessons"]["strategy"]
    assert {lesson.part for lesson in find(ROOT / "notebooks")} <= set(strategy["matrix"]["part"])
    assert strategy["max-parallel"] == 1
    assert strategy["fail-fast"] is False


def test_each_part_fits_the_budget_and_the_time_of_its_job() -> None:
    """On GitHub's machines, which have four cores, as many lessons run at once."""
    budget = float(read(WEEKLY)[TRIGGERS]["workflow_dispatch"]["inputs"]["budget"]["default"])
    (limit,) = (step["timeout-minutes"] for step in steps(WEEKLY) if "course.run" in step.get("run", ""))
    lessons = find(ROOT / "notebooks")
    for part in {lesson.part for lesson in lessons}:
        mine = [lesson for lesson in lessons if lesson.part == part]
        assert sum(lesson.azure_usd for lesson in mine) <= budget
        alone = sum(lesson.azure_minutes for lesson in mine if not lesson.side_by_side)
        assert alone + sum(lesson.azure_minutes for lesson in mine if lesson.side_by_side) / 4 <= limit
