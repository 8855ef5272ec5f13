"""What the capstone's acceptance finds of designs that were really built: wrong ones, and a right one of another kind.

The lesson's own solution is judged where its notebook is run.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from azure.ai.ml import Input, MLClient, Output, command, dsl
from azure.ai.ml.entities import (
    BatchEndpoint,
    CodeConfiguration,
    Environment,
    JobSchedule,
    ManagedOnlineEndpoint,
    Model,
    ModelBatchDeployment,
    ModelBatchDeploymentSettings,
    RecurrencePattern,
    RecurrenceTrigger,
)
from azure.identity import ClientSecretCredential
from azure.mgmt.authorization import AuthorizationManagementClient
from azure.mgmt.authorization.models import RoleAssignmentCreateParameters
from azure.mgmt.monitor import MonitorManagementClient
from log_support import Logs, send
from support import Arm, Deployed, NewClient, finish

from helpers import Acceptance
from helpers.acceptance.people import object_id
from helpers.checks import put_it_together as checks
from helpers.jobs import ENDED, status_of
from running_service import wait_for

CASES = 6
SCRIPT = """
import csv
def init(): pass
def run(files):
    return [f"{row['case']},0.5" for file in files for row in csv.DictReader(open(file))]
"""
LIST = "mkdir -p ${{outputs.report}} && for n in 1 2 3 4 5 6; do echo $n,0.5; done > ${{outputs.report}}/list.csv"


@pytest.fixture
def auditor(new_identity: NewClient) -> ClientSecretCredential:
    """Somebody without any role."""
    return new_identity(None, None)[0]


@pytest.fixture
def clinics(new_identity: NewClient, arm: Arm) -> ClientSecretCredential:
    """A program whose role holds in the whole workspace."""
    return new_identity("AzureML Data Scientist", arm.workspace)[0]


@pytest.fixture
def acceptance(ml: MLClient, clinics: ClientSecretCredential, auditor: ClientSecretCredential) -> Acceptance:
    samples = pd.DataFrame({"radius": [1.0, 2.0]})
    return Acceptance(ml, clinics=clinics, auditor=auditor, samples=samples, cases=CASES, patience=60)


@pytest.fixture
def empty_endpoint(ml: MLClient, name: str) -> Iterator[str]:
    """An endpoint for tokens of Entra's, on which nothing is deployed."""
    finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=name, auth_mode="aad_token")))
    yield name
    finish(ml.online_endpoints.begin_delete(name=name))


def test_nothing_there_is_a_fact_and_no_error(acceptance: Acceptance) -> None:
    assert "no online endpoint" in next(checks.faults_of_answers(acceptance.online("nothing-there")))
    assert "no diagnostic setting" in next(checks.faults_of_record(acceptance.record("nothing-there")))
    night = acceptance.night("nothing-there", "nothing-there")
    assert "no batch endpoint" in next(checks.faults_of_night(night))
    handover = acceptance.handover("nothing-there", "nothing-there", "nothing-there", "AmlComputeJobEvent")
    assert next(checks.faults_of_handover(handover)).startswith("answers: ")


def test_a_key_and_one_instance_are_refused(acceptance: Acceptance, deployed: Deployed) -> None:
    found = acceptance.online(deployed.endpoint)
    assert (found.mode, found.nothing, found.clinics) == ("key", 401, 401)
    assert {one.name: one.instances for one in found.deployments} == {"blue": 1, "green": 1}
    faults = " ".join(checks.faults_of_answers(found))
    assert "could not say who has asked" in faults and "blue has one instance" in faults
    assert "the clinics' call was answered 401" in " ".join(checks.faults_of_callers(found))
    assert acceptance.night(deployed.endpoint, "nothing-there").is_online


def test_a_role_in_the_whole_workspace_is_refused(acceptance: Acceptance, empty_endpoint: str) -> None:
    found = acceptance.online(empty_endpoint)
    assert (found.opened, found.nothing, found.clinics, found.auditor) == (404, 401, 404, 401)
    assert "no deployment takes traffic" in next(checks.faults_of_answers(found))
    assert "holds in a whole workspace" in " ".join(checks.faults_of_callers(found))


def test_the_auditor_finds_who_has_called_once_she_may_read(
    acceptance: Acceptance,
    empty_endpoint: str,
    ml: MLClient,
    credential: ClientSecretCredential,
    auditor: ClientSecretCredential,
    clinics: ClientSecretCredential,
    arm: Arm,
) -> None:
    logs = Logs(credential, arm)
    monitor = MonitorManagementClient(credential, ml.subscription_id, api_version="2021-05-01-preview")
    send(monitor.diagnostic_settings, ml.online_endpoints.get(empty_endpoint).id, logs, "AmlOnlineEndpointTrafficLog")
    refused = acceptance.record(empty_endpoint)
    assert (refused.refused, refused.callers) == (403, ())
    roles = AuthorizationManagementClient(credential, ml.subscription_id)
    role = next(roles.role_definitions.list(logs.sink, filter="roleName eq 'Log Analytics Reader'"))
    wanted = RoleAssignmentCreateParameters(
        role_definition_id=role.id, principal_id=object_id(auditor), principal_type="ServicePrincipal"
    )
    given = roles.role_assignments.create(logs.sink, str(uuid.uuid4()), wanted)
    found = acceptance.record(empty_endpoint)
    roles.role_assignments.delete_by_id(given.id)
    assert found.callers == (object_id(clinics),) and found.traffic == (logs.sink,)
    assert [grant.role for grant in found.grants if grant.is_within(logs.sink)] == ["Log Analytics Reader"]


@pytest.mark.slow
def test_a_model_deployment_and_a_recurrence_do_as_well(
    acceptance: Acceptance, ml: MLClient, cluster: str, name: str, tmp_path: Path
) -> None:
    """Not the lesson's design: no pipeline component, two nodes, a schedule with another job."""
    (tmp_path / "code").mkdir()
    (tmp_path / "code/score.py").write_text(SCRIPT)
    (tmp_path / "cases").mkdir()
    for file in "abc":
        (tmp_path / f"cases/{file}.csv").write_text(f"case\n{file}1\n{file}2\n")
    (tmp_path / "model.txt").write_text("half")
    tiny = Environment(image="mcr.microsoft.com/azureml/minimal-py311-inference")
    finish(ml.batch_endpoints.begin_create_or_update(BatchEndpoint(name=name)))
    assert "no default deployment" in next(checks.faults_of_night(acceptance.night(name, name)))
    deployment = ModelBatchDeployment(
        name="model-only",
        endpoint_name=name,
        model=Model(name=name, path=tmp_path / "model.txt"),
        code_configuration=CodeConfiguration(str(tmp_path / "code"), "score.py"),
        environment=tiny,
        compute=cluster,
        settings=ModelBatchDeploymentSettings(instance_count=2, mini_batch_size=2),
    )
    finish(ml.batch_deployments.begin_create_or_update(deployment, skip_script_validation=True))
    endpoint = ml.batch_endpoints.get(name)
    endpoint.defaults.deployment_name = "model-only"
    finish(ml.batch_endpoints.begin_create_or_update(endpoint))

    @dsl.pipeline(default_compute=cluster)
    def listing() -> dict[str, Output]:
        report = {"report": Output(type="uri_folder")}
        step = command(name="listing", command=LIST, outputs=report, environment=tiny)()
        return {"report": step.outputs.report}

    pattern = RecurrencePattern(hours=23, minutes=30)
    trigger = RecurrenceTrigger(frequency="day", interval=1, schedule=pattern, time_zone="Eastern Standard Time")
    finish(ml.schedules.begin_create_or_update(JobSchedule(name=name, trigger=trigger, create_job=listing())))
    assert "Invoke the endpoint once" in next(checks.faults_of_night(acceptance.night(name, name)))
    by_hand = ml.batch_endpoints.invoke(name, input=Input(type="uri_folder", path=str(tmp_path / "cases")))
    by_clock = ml.schedules.trigger(name).job_name
    wait_for(lambda: all(status_of(ml, job) in ENDED for job in (by_hand.name, by_clock)))
    night = acceptance.night(name, name)
    assert list(checks.faults_of_night(night)) == []
    assert night.by_hand and night.by_clock and (night.by_hand.listed, night.by_clock.listed) == (CASES, CASES)
    assert [one.name for one in night.clusters] == [cluster]
    finish(ml.schedules.begin_disable(name))
    assert "the schedule is disabled" in next(checks.faults_of_night(acceptance.night(name, name)))
    finish(ml.schedules.begin_delete(name))
    finish(ml.batch_endpoints.begin_delete(name=name))
