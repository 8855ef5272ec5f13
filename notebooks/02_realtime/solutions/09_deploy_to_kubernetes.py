"""The exercises of *Deploy to a Kubernetes cluster*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% deploy_to_kubernetes/gpu_type
### BEGIN SOLUTION
gpu_type = """
apiVersion: amlarc.azureml.com/v1alpha1
kind: InstanceType
metadata:
  name: gpu
spec:
  nodeSelector:
    accelerator: nvidia
  resources:
    requests:
      cpu: "500m"
      memory: "4Gi"
    limits:
      cpu: "2"
      memory: "8Gi"
      nvidia.com/gpu: 1
"""
### END SOLUTION
helpers.check("deploy_to_kubernetes/gpu_type", gpu_type)

# %% deploy_to_kubernetes/replicas
### BEGIN SOLUTION
import math


def replicas(busy, queued, settings):
    wanted = math.ceil((busy + queued) * 100 / settings.target_utilization_percentage)
    return max(settings.min_instances, min(wanted, settings.max_instances))


### END SOLUTION
helpers.check("deploy_to_kubernetes/replicas", replicas)

# %% deploy_to_kubernetes/turns
### BEGIN SOLUTION
turns = {
    "key": "caller",
    "typo": "deployer",
    "full": "administrator",
    "namespace": "administrator",
    "init": "deployer",
    "router": "administrator",
    "row": "caller",
}
### END SOLUTION
helpers.check("deploy_to_kubernetes/turns", turns)

# %% deploy_to_kubernetes/beside
### BEGIN SOLUTION
green = on_kubernetes("green", instance_type="roomy", instance_count=2)
green = helpers.wait(deploy(green), "deploy green", on_azure="about 5 minutes")
answer = helpers.score(endpoint.scoring_uri, key, patients, deployment="green")
beside = (green, answer)
### END SOLUTION
helpers.check("deploy_to_kubernetes/beside", beside)
