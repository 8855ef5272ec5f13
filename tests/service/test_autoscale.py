"""Azure Monitor's autoscale of managed deployments, and their metrics, through azure-mgmt-monitor.

Truth: the OpenAPI (Microsoft.Insights 2022-10-01 and 2021-05-01), Microsoft's how-to-autoscale-endpoints (whose code is
run here) and autoscale-understanding-settings, the clients' own deserialisers (every answer is held against their
models, see conftest.py), and for words of refusals the reports that the modules under test name. What scales runs on a
service of its own, whose clock is 120 times as fast: a minute takes half a second.
"""

from __future__ import annotations

import datetime
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from azure.ai.ml import MLClient
from azure.ai.ml.entities import Environment, ManagedOnlineEndpoint
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError
from azure.identity import ClientSecretCredential
from azure.mgmt.machinelearningservices import MachineLearningServicesMgmtClient
from azure.mgmt.machinelearningservices import models as aml
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.monitor.models import (
    AutoscaleNotification,
    AutoscaleProfile,
    EmailNotification,
    MetricTrigger,
    PredictiveAutoscalePolicy,
    Recurrence,
    RecurrentSchedule,
    ScaleAction,
    ScaleRule,
    ScaleRuleMetricDimension,
    TimeWindow,
)
from azure.mgmt.monitor.v2022_10_01.models import AutoscaleSettingResourcePatch
from log_support import Logs, send
from support import PROVIDER, Arm, Deployed, NewClient, Scorer, deploy, finish, quick_session

from running_service import RunningService, command_line, start_service, wait_for

FACTOR = 120
MINUTE = datetime.timedelta(minutes=1)
INSIGHTS = "Microsoft.Insights"


def rule(
    resource: str, direction: str, operator: str, threshold: float, *, value: int = 1, cooldown: int = 1, **changes: Any
) -> ScaleRule:
    """Return a rule on the requests to each instance, by default."""
    trigger: dict[str, Any] = {
        "metric_name": "RequestsPerMinute",
        "metric_resource_uri": resource,
        "time_grain": MINUTE,
        "statistic": "Average",
        "operator": operator,
        "time_aggregation": "Average",
        "time_window": 6 * MINUTE,
        "threshold": threshold,
        "divide_per_instance": True,
        **changes,
    }
    action = ScaleAction(direction=direction, type="ChangeCount", value=str(value), cooldown=cooldown * MINUTE)
    return ScaleRule(metric_trigger=MetricTrigger(**trigger), scale_action=action)


def profile(name: str = "p", minimum: int = 1, maximum: int = 3, default: int = 1, **changes: Any) -> AutoscaleProfile:
    capacity = {"minimum": str(minimum), "maximum": str(maximum), "default": str(default)}
    return AutoscaleProfile(**{"name": name, "capacity": capacity, "rules": [], **changes})


# --- settings: how they are judged ---


@dataclass(frozen=True)
class Settings:
    """The operations on autoscale settings, a deployment, and its endpoint."""

    operations: Any
    group: str
    name: str
    endpoint: str
    deployment: str

    def put(self, *profiles: AutoscaleProfile, **changes: Any) -> Any:
        """Create or update the setting, disabled: nothing of it acts."""
        body = {"location": "eastus", "target_resource_uri": self.deployment, "enabled": False, "profiles": [*profiles]}
        return self.operations.create_or_update(self.group, changes.pop("name", self.name), {**body, **changes})

    def refused(self, *profiles: AutoscaleProfile, status: int = 400, code: str = "BadRequest", **changes: Any) -> str:
        """Return the words with which a setting is refused."""
        with pytest.raises(HttpResponseError) as caught:
            self.put(*profiles, **changes)
        assert (caught.value.status_code, caught.value.error.code) == (status, code), caught.value
        return str(caught.value.error.message)


@pytest.fixture
def settings(credential: ClientSecretCredential, deployed: Deployed, arm: Arm, name: str) -> Iterator[Settings]:
    operations = MonitorManagementClient(credential, arm.settings.subscription_id).autoscale_settings
    endpoint = f"{arm.workspace}/onlineEndpoints/{deployed.endpoint}"
    made = Settings(operations, arm.settings.resource_group, name, endpoint, f"{endpoint}/deployments/green")
    yield made
    operations.delete(made.group, name)


def test_setting_lives(settings: Settings) -> None:
    """As recorded from Azure: 201, then 200; the id's provider in lower case, its type in Azure's case."""
    created = settings.put(profile())
    assert created.id.endswith(f"/providers/microsoft.insights/autoscalesettings/{settings.name}")
    assert (created.type, created.name_properties_name) == ("Microsoft.Insights/autoscaleSettings", settings.name)
    assert (created.enabled, created.notifications) == (False, [])
    assert created.profiles[0].capacity.as_dict() == {"minimum": "1", "maximum": "3", "default": "1"}
    again = settings.put(profile(maximum=5), tags={"a": "b"})
    assert (again.profiles[0].capacity.maximum, again.tags) == ("5", {"a": "b"})
    read = settings.operations.get(settings.group.upper(), settings.name.upper())
    assert read.as_dict() == again.as_dict()
    for listed in (
        settings.operations.list_by_resource_group(settings.group),
        settings.operations.list_by_subscription(),
    ):
        assert read.id in {one.id for one in listed}
    patched = settings.operations.update(
        settings.group, settings.name, AutoscaleSettingResourcePatch(tags={"c": "d"}, profiles=[profile(maximum=4)])
    )
    assert (patched.tags, patched.profiles[0].capacity.maximum, patched.enabled) == ({"c": "d"}, "4", False)
    settings.operations.delete(settings.group, settings.name)
    settings.operations.delete(settings.group, settings.name)  # 204
    with pytest.raises(ResourceNotFoundError, match=rf"'microsoft.insights/autoscalesettings/{settings.name}'"):
        settings.operations.get(settings.group, settings.name)


def test_all_that_a_setting_can_say_comes_back(settings: Settings) -> None:
    dimension = ScaleRuleMetricDimension(dimension_name="deployment", operator="Equals", values=["green"])
    latency = rule(
        settings.endpoint,
        "Increase",
        "GreaterThan",
        70,
        metric_name="RequestLatency",
        metric_namespace=f"{PROVIDER}/workspaces/onlineEndpoints",
        dimensions=[dimension],
        divide_per_instance=False,
    )
    weekly = Recurrence(
        frequency="Week",
        schedule=RecurrentSchedule(
            time_zone="Pacific Standard Time", days=["Saturday", "Sunday"], hours=[], minutes=[]
        ),
    )
    day = TimeWindow(
        time_zone="W. Europe Standard Time", start=datetime.datetime(2026, 12, 24), end=datetime.datetime(2026, 12, 26)
    )
    sent = [profile("a", rules=[latency]), profile("b", recurrence=weekly), profile("c", fixed_date=day)]
    policy = PredictiveAutoscalePolicy(scale_mode="Disabled")
    nobody = [AutoscaleNotification(operation="Scale", email=EmailNotification(custom_emails=[]), webhooks=[])]
    others = {"predictive_autoscale_policy": policy, "notifications": nobody, "target_resource_location": "eastus"}
    got = settings.put(*sent, **others)
    assert [one.as_dict() for one in got.profiles] == [one.as_dict() for one in sent]
    assert (got.predictive_autoscale_policy.scale_mode, got.target_resource_location) == ("Disabled", "eastus")


def test_target_must_be_a_managed_deployment_that_has_no_other_setting(settings: Settings) -> None:
    unknown = settings.deployment.replace("green", "grey")
    words = settings.refused(profile(), target_resource_uri=unknown, status=404, code="TargetResourceNotFound")
    assert unknown in words
    assert "cannot be scaled" in settings.refused(profile(), target_resource_uri=settings.endpoint)
    words = settings.refused(profile(), target_resource_uri=None, code="UnsupportedRequestContent")
    assert words.startswith("Request content is not well formed or supported.")
    settings.put(profile())
    other = settings.deployment.replace("green", "blue")
    words = settings.refused(profile(), target_resource_uri=other, code="TargetResourceIdIsImmutable")
    assert "The target resource reference is immutable." in words
    words = settings.refused(profile(), name=settings.name + "-2", status=409, code="Conflict")
    assert settings.name in words


def test_metrics_of_rules_must_exist(settings: Settings) -> None:
    def refused(resource: str, **changes: Any) -> str:
        options = {name: changes.pop(name) for name in ("status", "code") if name in changes}
        return settings.refused(profile(rules=[rule(resource, "Increase", "GreaterThan", 1, **changes)]), **options)

    words = refused(settings.deployment, metric_name="Percentage CPU", code="UnsupportedMetric")
    assert f"resource: {settings.deployment}, metricnamespace: metricNamespace is null, metricname: Percentage" in words
    assert "CpuUtilizationPercentage" in words
    refused(settings.deployment, metric_name="RequestLatency", code="UnsupportedMetric")  # the endpoint has that
    refused(settings.deployment, metric_namespace="Microsoft.Web/sites", code="UnsupportedMetric")
    refused(settings.endpoint + "x", status=404, code="ResourceNotFound")
    words = refused(settings.deployment, metric_name="GpuUtilizationPercentage", status=501, code="NotImplemented")
    assert "does not measure GpuUtilizationPercentage" in words
    other = ScaleRuleMetricDimension(dimension_name="colour", operator="Equals", values=["green"])
    assert "has no dimension 'colour'" in refused(settings.deployment, dimensions=[other])


def test_what_is_wrong_or_lacking_is_refused_by_name(settings: Settings) -> None:
    assert "profiles has 0 profiles; it must have 1 to 20" in settings.refused()
    assert "the default must lie between" in settings.refused(profile(minimum=3, maximum=2))
    short = rule(settings.deployment, "Increase", "GreaterThan", 1, time_window=4 * MINUTE)
    assert "timeWindow is PT4M; it must be 5 minutes to 12 hours" in settings.refused(profile(rules=[short]))
    service = rule(settings.deployment, "Increase", "GreaterThan", 1)
    service.scale_action.type = "ServiceAllowedNextValue"
    assert "ServiceAllowedNextValue" in settings.refused(profile(rules=[service]), status=501, code="NotImplemented")
    predictive = PredictiveAutoscalePolicy(scale_mode="Enabled")
    words = settings.refused(profile(), predictive_autoscale_policy=predictive)
    assert "only virtual machine scale sets have predictive autoscale" in words
    email = AutoscaleNotification(operation="Scale", email=EmailNotification(custom_emails=["a@b.c"]))
    words = settings.refused(profile(), notifications=[email], status=501, code="NotImplemented")
    assert "sends no notifications" in words


def test_body_that_misfits_is_said_to_be_malformed(settings: Settings, arm: Arm) -> None:
    path = f"{arm.group}/providers/{INSIGHTS}/autoscalesettings/{settings.name}"
    for body, words in (
        ({"location": "eastus"}, "Required property 'properties' not found"),
        ({"location": "eastus", "properties": {"profiles": {}}}, "must be a list. Path 'properties.profiles'"),
        ({"location": "eastus", "properties": {"profiles": [], "size": 3}}, "Could not find member 'size'"),
    ):
        answer = arm.put(path, body)
        assert (answer.status_code, answer.json()["code"]) == (400, "UnsupportedRequestContent")
        assert words in answer.json()["message"]
    answer = arm.request("GET", f"{path}/predictiveMetrics")
    assert (answer.status_code, answer.json()["error"]["code"]) == (501, "NotImplemented")


def test_roles(settings: Settings, new_identity: NewClient, arm: Arm) -> None:
    """No role of Azure ML or Azure Monitor may write autoscale settings; Contributor may, Reader reads them."""
    settings.put(profile())

    def operations(role: str) -> Any:
        credential, _ = new_identity(role, arm.group)
        return MonitorManagementClient(credential, arm.settings.subscription_id)

    body = {"location": "eastus", "target_resource_uri": settings.deployment, "profiles": [profile()]}
    for role in ("Monitoring Contributor", "AzureML Data Scientist", "Reader"):
        with pytest.raises(HttpResponseError, match=r"Microsoft.Insights/autoscalesettings/write") as caught:
            operations(role).autoscale_settings.create_or_update(settings.group, settings.name, body)
        assert caught.value.status_code == 403
    reader = operations("Reader")
    assert reader.autoscale_settings.get(settings.group, settings.name).name == settings.name
    assert list(reader.metric_definitions.list(settings.deployment))
    scientist = operations("AzureML Data Scientist")
    with pytest.raises(HttpResponseError, match=r"Microsoft.Insights/metricDefinitions/read"):
        list(scientist.metric_definitions.list(settings.deployment))
    assert not list(scientist.autoscale_settings.list_by_resource_group(settings.group))
    body["enabled"] = False
    operations("Contributor").autoscale_settings.create_or_update(settings.group, settings.name, body)


# --- metrics ---


def test_definitions_are_those_of_microsofts_reference(settings: Settings, credential: ClientSecretCredential) -> None:
    """…-onlineendpoints-metrics and …-onlineendpoints-deployments-metrics."""
    client = MonitorManagementClient(credential, settings.endpoint.split("/")[2])
    of_endpoint = {one.name.value: one for one in client.metric_definitions.list(settings.endpoint)}
    assert of_endpoint["RequestLatency_P95"].unit == "MilliSeconds"
    requests = of_endpoint["RequestsPerMinute"]
    names = ["deployment", "statusCode", "statusCodeClass", "modelStatusCode"]
    assert ([one.value for one in requests.dimensions], requests.unit) == (names, "Count")
    of_deployment = {one.name.value: one for one in client.metric_definitions.list(settings.deployment)}
    cpu = of_deployment["CpuUtilizationPercentage"]
    assert (cpu.unit, cpu.primary_aggregation_type, cpu.namespace) == (
        "Percent",
        "Average",
        "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments",
    )
    assert cpu.metric_availabilities[0].time_grain == MINUTE
    assert "RequestLatency" not in of_deployment


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"metricnames": "Cpu"}, "Failed to find metric configuration for provider: Microsoft.MachineLearningServices"),
        ({"interval": "PT2M"}, "Detect invalid time grain input: PT2M, supported ones are: PT1M,PT5M"),
        ({"timespan": "2026-01-02T00:00:00Z/2026-01-01T00:00:00Z"}, "its start must be before its end"),
        ({"timespan": "today"}, "'today' is no time of a timespan"),
        (
            {"timespan": "0001-01-01T00:00:00+01:00/0001-01-01T00:30:00+01:00"},
            "'0001-01-01T00:00:00+01:00' is no time of a timespan",
        ),
        (
            {"timespan": "0001-01-01T00:00:00Z/9999-12-31T23:30:00-01:00"},
            "'9999-12-31T23:30:00-01:00' is no time of a timespan",
        ),
        ({"aggregation": "median"}, "The aggregation 'median' is not one of"),
        ({"$filter": "colour eq 'red'"}, "does not support the dimension 'colour'"),
        ({"$filter": "colour"}, "The filter is invalid"),
        ({"metricnamespace": "Microsoft.Web/sites"}, "The metric namespace 'Microsoft.Web/sites' is not one of"),
    ],
)
def test_questions_about_metrics_that_are_refused(
    query: dict[str, str], words: str, arm: Arm, settings: Settings
) -> None:
    answer = arm.request(
        "GET",
        f"{settings.deployment}/providers/{INSIGHTS}/metrics",
        params={"api-version": "2021-05-01", "metricnames": "CpuUtilizationPercentage", **query},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, "BadRequest")
    assert words in answer.json()["message"]


@pytest.mark.parametrize("query", [{"top": "3"}, {"orderby": "sum asc"}, {"rollupby": "instanceId"}])
def test_what_is_lacking_of_questions_about_metrics_names_itself(
    query: dict[str, str], arm: Arm, settings: Settings
) -> None:
    answer = arm.request(
        "GET", f"{settings.deployment}/providers/{INSIGHTS}/metrics", params={"api-version": "2021-05-01", **query}
    )
    error = answer.json()["error"]
    assert (answer.status_code, error["code"], error["target"]) == (501, "NotImplemented", *query)


# --- what scales ---


@dataclass(frozen=True)
class Fast:
    """A service with a fast clock, and an endpoint on it with one deployment."""

    started: RunningService
    credential: ClientSecretCredential
    ml: MLClient
    monitor: MonitorManagementClient
    logs: Logs
    endpoint: str
    deployment: str
    scoring_uri: str
    key: str

    @property
    def count(self) -> int:
        """How many instances the deployment has, or is to have."""
        return int(self.ml.online_deployments.get("blue", "scaled").instance_count)

    def put(self, *profiles: AutoscaleProfile, **changes: Any) -> Any:
        body = {"location": "eastus", "target_resource_uri": self.deployment, "profiles": [*profiles], **changes}
        return self.monitor.autoscale_settings.create_or_update(self.started.settings.resource_group, "scales", body)

    def settled(self, count: int) -> None:
        """Wait until the deployment has so many instances, and no operation is in progress."""

        def is_so() -> bool:
            found = self.ml.online_deployments.get("blue", "scaled")
            return (found.instance_count, found.provisioning_state) == (count, "Succeeded")

        wait_for(is_so, f"{count} instances")

    def values(self, resource: str, name: str, **options: Any) -> list[float]:
        (metric,) = self.monitor.metrics.list(resource, metricnames=name, aggregation="Average", **options).value
        return [one.average for series in metric.timeseries for one in series.data if one.average is not None]


@pytest.fixture(scope="module")
def fast() -> Iterator[Fast]:
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
    try:
        started = start_service(root, {"AZUREML_LOCAL_CLOCK_FACTOR": str(FACTOR)})
        with pytest.MonkeyPatch.context() as patch:
            for variable, value in started.environment.items():
                patch.setenv(variable, value)
            yield _deployed(started)
    finally:
        command_line(root, "stop")
        shutil.rmtree(root, ignore_errors=True)


def _deployed(started: RunningService) -> Fast:
    found = started.settings
    credential = ClientSecretCredential(found.tenant_id, found.client_id, found.client_secret)
    ml = MLClient(credential, found.subscription_id, found.resource_group, found.workspace, enable_telemetry=False)
    monitor = MonitorManagementClient(credential, found.subscription_id)
    finish(ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name="scaled")))
    image = "mcr.microsoft.com/azureml/minimal-py311-inference"
    environment = ml.environments.create_or_update(Environment(name="tiny", image=image))
    finish(deploy(ml, "scaled", "blue", environment=environment, instance_type="Standard_D2as_v4"))
    endpoint = ml.online_endpoints.get("scaled")
    endpoint.traffic = {"blue": 100}
    endpoint = finish(ml.online_endpoints.begin_create_or_update(endpoint))
    with quick_session() as session:
        arm = Arm(session, found, credential.get_token("https://management.azure.com/.default").token)
        logs = Logs(credential, arm)
    key = str(ml.online_endpoints.get_keys("scaled").primary_key)
    deployment = ml.online_deployments.get("blue", "scaled").id
    return Fast(started, credential, ml, monitor, logs, endpoint.id, deployment, endpoint.scoring_uri, key)


@pytest.fixture(autouse=True)
def no_setting_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "fast" in request.fixturenames:
        fast: Fast = request.getfixturevalue("fast")
        fast.monitor.autoscale_settings.delete(fast.started.settings.resource_group, "scales")


@pytest.fixture
def load(fast: Fast) -> Iterator[Callable[[], None]]:
    """Ask the endpoint without a pause until the function is called, or the test ends."""
    ended = threading.Event()

    def ask() -> None:
        with quick_session() as session:
            scorer = Scorer(session, fast.scoring_uri, fast.key)
            while not ended.is_set():
                scorer.post({"sleep": 0.01})

    thread = threading.Thread(target=ask)
    thread.start()
    yield ended.set
    ended.set()
    thread.join()


def send_all(fast: Fast, setting_id: str) -> None:
    """Send all logs of the setting to the Log Analytics workspace."""
    subscription = fast.started.settings.subscription_id
    client = MonitorManagementClient(fast.credential, subscription, api_version="2021-05-01-preview")
    send(client.diagnostic_settings, setting_id, fast.logs)


def test_example_of_microsofts_page_runs(fast: Fast) -> None:
    """how-to-autoscale-endpoints, "Python SDK": the profile scales to its minimum at once, the rules are taken."""
    with pytest.raises(ResourceNotFoundError):
        fast.monitor.autoscale_settings.get(fast.started.settings.resource_group, "scales")
    created = fast.put(profile("my-scale-settings", 2, 5, 2))
    assert created.enabled
    fast.settled(2)
    hour = datetime.timedelta(hours=1)

    def on_cpu(operator: str, threshold: int, direction: str, value: int) -> ScaleRule:
        return ScaleRule(
            metric_trigger=MetricTrigger(
                metric_name="CpuUtilizationPercentage",
                metric_resource_uri=fast.deployment,
                time_grain=MINUTE,
                statistic="Average",
                operator=operator,
                time_aggregation="Last",
                time_window=5 * MINUTE,
                threshold=threshold,
            ),
            scale_action=ScaleAction(direction=direction, type="ChangeCount", value=value, cooldown=hour),
        )

    latency = on_cpu("GreaterThan", 70, "Increase", 1)
    latency.metric_trigger.metric_name = "RequestLatency"
    latency.metric_trigger.metric_resource_uri = fast.endpoint
    rules = [on_cpu("GreaterThan", 70, "Increase", 2), on_cpu("LessThan", 30, "Decrease", 1), latency]
    created = fast.put(profile("my-scale-settings", 2, 5, 2, rules=rules))
    assert len(created.profiles[0].rules) == 3
    assert fast.count == 2


def test_manual_change_lasts_until_the_limits_or_the_rules_say_otherwise(fast: Fast) -> None:
    """ "Manual scaling is reset by autoscale minimum and maximum" (autoscale-best-practices)."""
    fast.put(profile(minimum=1, maximum=2))
    blue = fast.ml.online_deployments.get("blue", "scaled")
    blue.instance_count = 3
    finish(fast.ml.online_deployments.begin_create_or_update(blue))
    fast.settled(2)
    disabled = fast.put(profile(minimum=1, maximum=1), enabled=False)
    assert not disabled.enabled
    blue.instance_count = 1
    finish(fast.ml.online_deployments.begin_create_or_update(blue))
    fast.settled(1)


def test_load_scales_out_and_its_end_scales_in(fast: Fast, load: Callable[[], None]) -> None:
    """And the log says what was evaluated, and what was done."""
    rules = [
        rule(fast.deployment, "Increase", "GreaterThan", 2),
        rule(fast.deployment, "Decrease", "LessThan", 0.5),
    ]
    made = fast.put(profile(maximum=2, rules=rules))
    send_all(fast, made.id)
    fast.settled(2)
    assert max(fast.values(fast.deployment, "RequestsPerMinute")) > 2
    load()
    fast.settled(1)
    columns = "ResultType, CurrentInstanceCount, NewInstanceCount, ScaleDirection, ResultDescription"
    begun = f"AutoscaleScaleActionsLog | where ResultType == 'InProgress' | project {columns}"
    assert sorted(fast.logs.wait(begun, 2), key=lambda row: row[1]) == [
        ["InProgress", 1, 2, "Increase", "Scale up action triggered"],
        ["InProgress", 2, 1, "Decrease", "Scale down action triggered"],
    ]
    fast.logs.wait("AutoscaleScaleActionsLog | where ScaleActionOperationStatus == 'Succeeded'", 2)
    why = (
        "AutoscaleScaleActionsLog | where ScaleDirection == 'Increase' | project CorrelationId "
        "| join kind=inner AutoscaleEvaluationsLog on CorrelationId "
        "| where OperationName == 'ScaleRuleEvaluation' and EstimateScaleResult == 'Triggered' "
        "| project AutoscaleMetricName, Operator, Threshold, TimeWindow, toint(ObservedValue > 2)"
    )
    assert fast.logs.wait(why, 1)[0] == ["RequestsPerMinute", "GreaterThan", 2.0, "00:06:00", 1]
    chosen = "AutoscaleEvaluationsLog | where ProfileSelected == true | distinct Profile, OperationName"
    assert fast.logs.rows(chosen) == [["p", "DefaultProfileEvaluation"]]


def test_metrics_are_measured(fast: Fast, load: Callable[[], None]) -> None:
    def found(name: str, resource: str = fast.deployment, **options: Any) -> list[float]:
        return wait_for(lambda: fast.values(resource, name, **options), name)

    wait_for(lambda: max(fast.values(fast.endpoint, "RequestsPerMinute"), default=0) > 0, "requests")
    assert 0 <= found("CpuUtilizationPercentage")[-1] <= 100
    assert 0 < found("CpuMemoryUtilizationPercentage")[-1] < 100
    assert found("DeploymentCapacity")[-1] == 1
    assert found("RequestLatency", fast.endpoint)[-1] >= 10
    assert found("RequestLatency_P50")[-1] >= 10
    assert found("NetworkBytes", fast.endpoint)[-1] >= 0
    only = {"filter": "statusCode eq '200' and deployment eq '*'"}
    assert max(found("RequestsPerMinute", fast.endpoint, **only)) > 0
    assert fast.values(fast.endpoint, "RequestsPerMinute", filter="deployment eq 'green'") == []
    answer = fast.monitor.metrics.list(fast.endpoint, metricnames="RequestsPerMinute", interval=5 * MINUTE, **only)
    assert (answer.interval, answer.resourceregion, answer.value[0].unit) == (5 * MINUTE, "eastus", "Count")
    (series,) = answer.value[0].timeseries
    assert {one.name.value: one.value for one in series.metadatavalues} == {"deployment": "blue", "statuscode": "200"}
    pairs = zip(series.data, series.data[1:], strict=False)
    steps = {later.time_stamp - earlier.time_stamp for earlier, later in pairs}
    assert steps == {datetime.timedelta(seconds=300 / FACTOR)}


def test_scale_in_that_would_flap_is_deferred_and_the_log_says_so(fast: Fast) -> None:
    """autoscale-flapping: two instances are below three, but would be as four on one, which is above it."""

    def on_capacity(direction: str, operator: str) -> ScaleRule:
        return rule(
            fast.deployment, direction, operator, 3, metric_name="DeploymentCapacity", divide_per_instance=False
        )

    rules = [on_capacity("Increase", "GreaterThan"), on_capacity("Decrease", "LessThan")]
    fast.put(profile(minimum=2, maximum=2, default=2))
    fast.settled(2)
    wait_for(
        lambda: fast.values(fast.deployment, "DeploymentCapacity")[-8:] == [2.0] * 8, "a window with two instances"
    )
    made = fast.put(profile(minimum=1, maximum=3, default=2, rules=rules))
    send_all(fast, made.id)
    why = (
        "AutoscaleEvaluationsLog | where InstanceUpdateReason has 'flapping' "
        "| distinct InstanceUpdateReason, ShouldUpdateInstance"
    )
    words = "Cannot scale down due to flapping observed. Current instance count: '2', Intended new instance count: '1'"
    assert fast.logs.wait(why, 1) == [[words, False]]
    assert fast.count == 2


def test_refused_for_want_of_quota(fast: Fast) -> None:
    """The scale action fails, the log says why, and the deployment stays as it is."""
    family = "Standard DASv4 Family Cluster Dedicated vCPUs"
    management = MachineLearningServicesMgmtClient(fast.credential, fast.started.settings.subscription_id)
    workspace = fast.deployment.partition("/onlineEndpoints/")[0]

    def limit(number: int) -> None:
        quota = aml.QuotaBaseProperties(
            id=f"{workspace}/quotas/{family.replace(' ', '_')}", type=f"{PROVIDER}/workspaces/quotas", limit=number
        )
        management.quotas.update("eastus", aml.QuotaUpdateParameters(value=[quota]))

    fast.put(profile(minimum=1, maximum=1))
    fast.settled(1)
    limit(6)
    made = fast.put(profile(minimum=1, maximum=1))
    send_all(fast, made.id)
    fast.put(profile(minimum=4, maximum=4, default=4))
    failed = "AutoscaleScaleActionsLog | where ResultType == 'Failed' | project ResultDescription"
    (words, *_) = fast.logs.wait(failed, 1)[0]
    assert "Not enough quota available for Standard_D2as_v4" in words
    assert fast.count == 1
    limit(300)
    fast.settled(4)


def test_setting_stays_when_its_target_is_deleted(fast: Fast) -> None:
    """And acts on one that is made again under the same id."""
    fast.put(profile(minimum=2, maximum=2, default=2))
    fast.settled(2)
    endpoint = fast.ml.online_endpoints.get("scaled")
    endpoint.traffic = {}
    finish(fast.ml.online_endpoints.begin_create_or_update(endpoint))
    finish(fast.ml.online_deployments.begin_delete("blue", "scaled"))
    kept = fast.monitor.autoscale_settings.get(fast.started.settings.resource_group, "scales")
    assert kept.target_resource_uri == fast.deployment
    environment = fast.ml.environments.get("tiny", label="latest")
    finish(deploy(fast.ml, "scaled", "blue", environment=environment, instance_type="Standard_D2as_v4"))
    fast.settled(2)
