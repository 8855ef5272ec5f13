"""``python -m course.preflight`` as somebody runs it who has a workspace on Azure: a service of its own is that Azure.

It has ``config.json`` and the variables by which any program finds and enters the service, and not the mark by
which the workbook knows its own: it takes what it meets for Azure.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from unittest.mock import patch

import pytest
from azure.identity import ClientSecretCredential
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient
from azure.mgmt.machinelearningservices import models as aml
from support import SECONDS, Arm

from azureml_local import admin
from course import exit_codes
from course.preflight.__main__ import main
from helpers.connection import LOCAL_MARK
from running_service import RunningService, clean_environment

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
FAMILY = "Standard_DSv2_Family_Cluster_Dedicated_vCPUs"
Run = subprocess.CompletedProcess[str]
Preflight = Callable[..., Run]


@pytest.fixture
def folder(service: RunningService, tmp_path: Path) -> Path:
    """A folder with ``config.json``, as somebody has it who has a workspace on Azure."""
    (tmp_path / "notebooks").symlink_to(ROOT / "notebooks")
    settings = service.settings
    names = {
        "subscription_id": settings.subscription_id,
        "resource_group": settings.resource_group,
        "workspace_name": settings.workspace,
    }
    (tmp_path / "config.json").write_text(json.dumps(names))
    return tmp_path


@pytest.fixture
def environment(service: RunningService) -> dict[str, str]:
    """What leads a program to the service, without the mark."""
    environment = {**clean_environment(), **service.environment}
    del environment[LOCAL_MARK]
    return environment


@pytest.fixture
def preflight(
    folder: Path,
    environment: Mapping[str, str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Preflight:
    """Return what runs a pre-flight for Azure there: in this process, which has imported it all, and signed in."""
    monkeypatch.chdir(folder)

    def run(*arguments: str) -> Run:
        with patch.dict(os.environ, environment, clear=True):
            status = main(arguments)
        said = capsys.readouterr()
        return subprocess.CompletedProcess(arguments, status, said.out, said.err)

    return run


@pytest.fixture
def preflight_of(folder: Path, environment: Mapping[str, str]) -> Preflight:
    """Return what runs one in a process of its own, as somebody else: a process keeps who has signed in."""

    def run(identity: Mapping[str, str], *arguments: str) -> Run:
        return subprocess.run(
            [sys.executable, "-m", "course.preflight", *arguments],
            cwd=folder,
            env={**environment, **identity},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    return run


@pytest.fixture
def no_quota(service: RunningService, credential: ClientSecretCredential, arm: Arm) -> Iterator[None]:
    """While it lasts, the workspace may use nothing of the family that most lessons' sizes belong to."""
    quotas = MachineLearningServicesMgmtClient(credential, service.settings.subscription_id).quotas

    def limit(number: int) -> None:
        wanted = aml.QuotaBaseProperties(id=f"{arm.workspace}/quotas/{FAMILY}", limit=number)
        (answer,) = quotas.update(service.settings.location, aml.QuotaUpdateParameters(value=[wanted])).value
        assert answer.status == "Success"

    limit(0)
    yield
    limit(300)


def test_what_is_lacking_is_named_with_what_to_do(preflight_of: Preflight, service: RunningService) -> None:
    """The service is registered for nothing that it does not serve, as a new subscription is."""
    run = preflight_of({}, "01_score_your_first_model")
    assert run.returncode == exit_codes.NOT_READY, run.stderr
    lines = [" ".join(line.split()) for line in run.stdout.splitlines()]
    assert "✓ lessons: 1 about 0 h 30 min and 0.08 USD on Azure, one after another, at East US's prices" in lines
    assert f"✓ config.json {service.settings.workspace}" in lines
    assert f"✓ signed in {service.settings.client_id}" in lines
    assert f"✓ workspace {service.settings.location}" in lines
    assert "✓ first_model: cpu_size Standard_DS2_v2, 0.15 USD an hour 1 x endpoint" in lines
    assert "✗ PolicyInsights NotRegistered Registered" in lines
    assert "→ az provider register --namespace Microsoft.PolicyInsights (for: first_model)" in lines
    assert lines[-1] == "2 lacking: nothing was made."


def test_where_nothing_is_lacking_lessons_may_run(preflight: Preflight) -> None:
    run = preflight("01_build_a_batch_pipeline")
    assert run.returncode == exit_codes.PASSED, run.stdout + run.stderr
    assert run.stdout.endswith("Nothing is lacking. Nothing was made.\n")


@pytest.mark.usefixtures("no_quota")
def test_a_size_without_quota_is_replaced_by_the_next(preflight: Preflight) -> None:
    run = preflight("01_build_a_batch_pipeline")
    assert run.returncode == exit_codes.PASSED, run.stdout + run.stderr
    said = " ".join(run.stdout.split())
    assert "! build_a_batch_pipeline: cpu_size Standard_D2as_v4, 0.10 USD an hour Standard_DS2_v2, 2 x cluster" in said
    assert 'Standard_DS2_v2 0 of 4 vCPUs are free. Set cpu_size = "Standard_D2as_v4"' in said


def test_a_reader_is_told_what_the_role_does_not_permit(
    preflight_of: Preflight, service: RunningService, arm: Arm, name: str
) -> None:
    role = {"name": name, "role": "Reader", "scope": arm.group}
    made = admin.call(service.home, "POST", "/identities", role)
    run = preflight_of(made, "05_identities_and_roles")
    admin.call(service.home, "DELETE", f"/identities/{name}")
    assert run.returncode == exit_codes.NOT_READY, run.stderr
    said = " ".join(run.stdout.split())
    assert "✗ Authorization/roleAssignments/write not permitted permitted" in said
    assert "ask for a role with it, such as User Access Administrator (for: identities_and_roles)" in said
    assert "✗ SECOND_CLIENT_SECRET not set set" in said


def test_who_has_no_role_reaches_no_workspace(preflight_of: Preflight, service: RunningService, name: str) -> None:
    made = admin.call(service.home, "POST", "/identities", {"name": name, "role": None, "scope": None})
    run = preflight_of(made, "01_build_a_batch_pipeline")
    admin.call(service.home, "DELETE", f"/identities/{name}")
    assert run.returncode == exit_codes.NOT_READY
    said = " ".join(run.stdout.split())
    assert "✗ workspace 403 AuthorizationFailed" in said and "ask for the role AzureML Data Scientist" in said
    assert "! providers may not be read (AuthorizationFailed)" in said


def test_without_a_right_secret_nobody_is_signed_in(preflight_of: Preflight) -> None:
    wrong = {"AZURE_CLIENT_SECRET": "wrong", "IDENTITY_ENDPOINT": ""}
    run = preflight_of(wrong, "01_build_a_batch_pipeline")
    assert run.returncode == exit_codes.NOT_READY
    assert "✗ signed in" in run.stdout and "→ az login" in run.stdout and "wrong" not in run.stdout


def test_without_its_file_the_workspace_is_not_known(preflight: Preflight, folder: Path) -> None:
    (folder / "config.json").unlink()
    run = preflight("01_build_a_batch_pipeline")
    assert run.returncode == exit_codes.NOT_READY
    assert "✗ config.json" in run.stdout and "Download config.json" in run.stdout


def test_a_lesson_that_is_not_there_is_a_mistake(preflight: Preflight) -> None:
    run = preflight("99_nothing")
    assert (run.returncode, run.stdout) == (exit_codes.USAGE, "")
    assert 'There is no notebook "99_nothing"' in run.stderr
