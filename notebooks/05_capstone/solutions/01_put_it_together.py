"""The exercises of *Put it together*, solved: one design of many that are accepted.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% put_it_together/answers
### BEGIN SOLUTION
from azure.ai.ml.entities import (
    CodeConfiguration,
    ManagedOnlineDeployment,
    ManagedOnlineEndpoint,
)

# Tokens of Entra name their callers, each of whom can be shut out alone.
wanted = ManagedOnlineEndpoint(name=endpoint_name, auth_mode="aad_token")
creation = ml_client.online_endpoints.begin_create_or_update(wanted)
endpoint = helpers.wait(creation, "create the endpoint", on_azure="about 2 minutes")

# Two instances: one may fail. 210 USD a month leave 40 for the night and the log.
wanted = ManagedOnlineDeployment(
    name="blue",
    endpoint_name=endpoint_name,
    model=model,
    code_configuration=CodeConfiguration(str(lesson / "opinion_scoring"), "score.py"),
    environment=scoring_environment,
    instance_type="Standard_DS2_v2",
    instance_count=2,
)
creation = ml_client.online_deployments.begin_create_or_update(wanted)
helpers.wait(creation, "deploy the model", on_azure="about 8 minutes")
endpoint.traffic = {"blue": 100}
switch = ml_client.online_endpoints.begin_create_or_update(endpoint)
endpoint = helpers.wait(switch, "switch the traffic")
at_once = acceptance.online(endpoint_name)
### END SOLUTION
helpers.check("put_it_together/answers", at_once)


# %% put_it_together/callers
### BEGIN SOLUTION
def call_as_clinics():
    token = clinics.get_token("https://ml.azure.com/.default").token
    samples = test_x.head(1).to_dict(orient="records")
    return helpers.score(endpoint.scoring_uri, token, {"samples": samples})


# The role has onlineEndpoints/score/action; the scope is this one endpoint.
give("AzureML Data Scientist", clinics, endpoint.id)
helpers.until_permitted(call_as_clinics, "call as the clinics")
who_calls = acceptance.online(endpoint_name)
### END SOLUTION
helpers.check("put_it_together/callers", who_calls)

# %% put_it_together/record
### BEGIN SOLUTION
from azure.mgmt.loganalytics import LogAnalyticsManagementClient
from azure.mgmt.loganalytics.models import Workspace
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.monitor.v2021_05_01_preview import models
from azure.monitor.query import LogsQueryClient

place = (ml_client.resource_group_name, logs_name)
log_workspaces = LogAnalyticsManagementClient(owner, ml_client.subscription_id).workspaces
creation = log_workspaces.begin_create_or_update(
    *place, Workspace(location=workspace.location)
)
sink = helpers.wait(creation, "create the Log Analytics workspace", on_azure="1 minute")

monitor = MonitorManagementClient(
    owner, ml_client.subscription_id, api_version="2021-05-01-preview"
)
# The endpoint knows of calls, the workspace of jobs.
sent = {endpoint.id: "AmlOnlineEndpointTrafficLog", workspace.id: "AmlComputeJobEvent"}
for resource, category in sent.items():
    chosen = [models.LogSettings(category=category, enabled=True)]
    setting = models.DiagnosticSettingsResource(workspace_id=sink.id, logs=chosen)
    monitor.diagnostic_settings.create_or_update(resource, logs_name, setting)

# She reads this log and no setting elsewhere.
give("Log Analytics Reader", auditor, sink.id)
as_auditor = LogsQueryClient(auditor)
helpers.until_permitted(
    lambda: as_auditor.query_workspace(sink.customer_id, "print 1", timespan=None),
    "ask as the auditor",
)
recorded = acceptance.record(endpoint_name)
### END SOLUTION
helpers.check("put_it_together/record", recorded)

# %% put_it_together/night
### BEGIN SOLUTION
from azure.ai.ml import Input, dsl
from azure.ai.ml.entities import (
    AmlCompute,
    BatchEndpoint,
    CronTrigger,
    JobSchedule,
    PipelineComponentBatchDeployment,
)

# From zero, and gone after two minutes; dedicated, because the list is due without fail.
wanted = AmlCompute(
    name=cluster_name,
    size="Standard_DS2_v2",
    min_instances=0,
    max_instances=1,
    idle_time_before_scale_down=120,
)
creation = ml_client.compute.begin_create_or_update(wanted)
helpers.wait(creation, "create the cluster", on_azure="about half a minute")

creation = ml_client.batch_endpoints.begin_create_or_update(BatchEndpoint(name=batch_name))
batch_endpoint = helpers.wait(creation, "create the batch endpoint", on_azure="1 minute")
wanted = PipelineComponentBatchDeployment(
    name="version-1",
    endpoint_name=batch_name,
    component=night_work,
    settings={"default_compute": cluster_name},
)
creation = ml_client.batch_deployments.begin_create_or_update(wanted)
helpers.wait(creation, "publish the night's work", on_azure="about 1 minute")
batch_endpoint.defaults.deployment_name = "version-1"
switch = ml_client.batch_endpoints.begin_create_or_update(batch_endpoint)
helpers.wait(switch, "make it the default", on_azure="about half a minute")


@dsl.pipeline(display_name="before six", default_compute=cluster_name)
def each_night(cases):
    return {"report": night_work(cases=cases).outputs.report}


all_cases = Input(type="uri_folder", path=f"azureml:{cases.name}:{cases.version}")
wanted = JobSchedule(
    name=schedule_name,
    trigger=CronTrigger(expression="0 2 * * *", time_zone="Eastern Standard Time"),
    create_job=each_night(all_cases),
)
creation = ml_client.schedules.begin_create_or_update(wanted)
helpers.wait(creation, "create the schedule", on_azure="about half a minute")

by_hand = ml_client.batch_endpoints.invoke(batch_name, inputs={"cases": all_cases})
sent = ml_client.schedules.trigger(schedule_name)
by_clock = ml_client.jobs.get(sent.job_name)
for what, job in {"by hand": by_hand, "by the clock": by_clock}.items():
    helpers.wait_for_job(ml_client, job, what, on_azure="about 12 minutes")
by_night = acceptance.night(batch_name, schedule_name)
### END SOLUTION
helpers.check("put_it_together/night", by_night)

# %% put_it_together/handover
### BEGIN SOLUTION
question = """AmlComputeJobEvent
| summarize arg_max(TimeGenerated, *) by JobId
| project JobName, JobId, ExecutionState"""
handed_over = acceptance.handover(endpoint_name, batch_name, schedule_name, question)
### END SOLUTION
helpers.check("put_it_together/handover", handed_over)
