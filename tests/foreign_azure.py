"""Lessons on an Azure that they know nothing of: the proof that they, and their helpers, use the public SDK only.

A service that somebody else has started stands for Azure. The lesson's kernel has what a user of Azure has: a
``config.json``, and variables by which any program finds its way and signs in. It lacks the mark by which the workbook
knows its own service, and the package ``azureml_local`` cannot be imported in it.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import nbformat
import papermill

from azureml_local import admin
from course import exercises
from course.catalogue import Lesson
from helpers.connection import LOCAL_MARK
from helpers.progress_file import VARIABLE
from running_service import RunningService, clean_environment, command_line, start_service

ROOT = Path(__file__).parents[1]
# Service principals besides one's own: the parameters for its directory and its id, the variable with its secret.
OTHERS = (
    ("second_tenant_id", "second_client_id", "SECOND_CLIENT_SECRET"),
    ("tenant_id", "clinics_client_id", "CLINICS_CLIENT_SECRET"),
    ("tenant_id", "auditor_client_id", "AUDITOR_CLIENT_SECRET"),
)
# Python imports a module of this name as it starts.
FORBIDDING = """
import sys


class Forbidding:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "azureml_local":
            raise ModuleNotFoundError(f"{name} is not to be had on Azure", name=name)


sys.meta_path.insert(0, Forbidding())
"""


@dataclass(frozen=True)
class ForeignAzure:
    """A folder with the course in it, beside it ``config.json``, and the environment of somebody who works there."""

    folder: Path
    environment: Mapping[str, str]
    parameters: Mapping[str, str]  # that lessons take, if they have them

    @classmethod
    def of(cls, service: RunningService, folder: Path) -> ForeignAzure:
        """Prepare a new ``folder`` for a workspace that a service has."""
        shutil.copytree(ROOT / "notebooks", folder / "notebooks", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "src").symlink_to(ROOT / "src")  # a component of part 4 names files of the checkout
        settings = service.settings
        names = {
            "subscription_id": settings.subscription_id,
            "resource_group": settings.resource_group,
            "workspace_name": settings.workspace,
        }
        (folder / "config.json").write_text(json.dumps(names))
        start = folder / "start"
        start.mkdir()
        (start / "sitecustomize.py").write_text(FORBIDDING)
        secrets, parameters = {}, {}
        for tenant, client, secret in OTHERS:
            name = client.replace("_", "-")
            made = admin.call(service.home, "POST", "/identities", {"name": name, "role": None, "scope": None})
            parameters |= {tenant: made["AZURE_TENANT_ID"], client: made["AZURE_CLIENT_ID"]}
            secrets[secret] = made["AZURE_CLIENT_SECRET"]
        clean = clean_environment()
        environment = {
            **clean,
            **service.environment,
            "PYTHONPATH": ":".join(filter(None, [str(start), clean.get("PYTHONPATH")])),
            **secrets,
            VARIABLE: str(folder / "progress.db"),
        }
        del environment[LOCAL_MARK]
        return cls(folder, environment, parameters)

    def python(self, code: str) -> subprocess.CompletedProcess[str]:
        """Run some code there."""
        return self._run([sys.executable, "-c", code], 60)

    def assert_passes(self, lesson: Lesson, seconds: float) -> nbformat.NotebookNode:
        """Run a lesson with its exercises solved, as ``backend="azure"``; return it as it was executed.

        Every solution must be right, and the last cell must have cleaned up.
        """
        own = self.folder / "notebooks" / lesson.path.relative_to(ROOT / "notebooks")
        solved, output = own.with_suffix(".solved.ipynb"), self.folder / f"{lesson.id}.ipynb"
        exercises.write_solved(lesson.path, lesson.solutions, solved)
        declared = papermill.inspect_notebook(lesson.path)
        others = {name: value for name, value in self.parameters.items() if name in declared}
        given = {"backend": "azure", "suffix": "foreign", **others}
        command = [str(Path(sys.executable).with_name("papermill")), str(solved), str(output)]
        words = [word for name, value in given.items() for word in ("-p", name, value)]
        ran = self._run([*command, "--cwd", str(own.parent), *words], seconds)
        assert ran.returncode == 0, ran.stderr[-3000:]
        notebook = nbformat.read(output, as_version=4)
        verdicts = {verdict.exercise: verdict.ok for verdict in exercises.verdicts(notebook.cells)}
        assert verdicts == dict.fromkeys(exercises.read(lesson.solutions), True)
        assert any("Nothing is left behind." in said.get("text", "") for said in notebook.cells[-1].outputs)
        return notebook

    def _run(self, command: list[str], seconds: float) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )


@contextmanager
def foreign_azure() -> Iterator[ForeignAzure]:
    """Start a service for it, in a folder of its own; afterwards both are gone."""
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        yield ForeignAzure.of(start_service(root / "s", {"AZUREML_LOCAL_CLOCK_FACTOR": "60"}), root)
    finally:
        command_line(root / "s", "stop")
        shutil.rmtree(root, ignore_errors=True)
