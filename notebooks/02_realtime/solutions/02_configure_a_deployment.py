"""The exercises of *Configure a deployment: settings one by one*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% configure_a_deployment/instances
### BEGIN SOLUTION
import math


def instances(per_second, seconds, concurrency, utilization=0.7):
    return math.ceil(per_second * seconds / utilization / concurrency)


### END SOLUTION
helpers.check("configure_a_deployment/instances", instances)

# %% configure_a_deployment/heavy
### BEGIN SOLUTION
from azure.ai.ml.entities import OnlineRequestSettings

heavy = ManagedOnlineDeployment(
    name="heavy",
    endpoint_name=endpoint_name,
    instance_type="Standard_DS3_v2",
    instance_count=3,
    environment_variables={"WORKER_COUNT": "4"},
    request_settings=OnlineRequestSettings(
        request_timeout_ms=60_000, max_concurrent_requests_per_instance=4
    ),
    readiness_probe=ProbeSettings(initial_delay=30, period=10, failure_threshold=60),
    liveness_probe=ProbeSettings(initial_delay=600),
)
### END SOLUTION
helpers.check("configure_a_deployment/heavy", heavy)

# %% configure_a_deployment/calm
### BEGIN SOLUTION
with helpers.load(endpoint.scoring_uri, key, payment, clients=3) as calm:
    deployment.instance_count = 3
    deployment = update("scale to 3 instances")
    calm.go_on(2)
### END SOLUTION
helpers.check("configure_a_deployment/calm", calm)
