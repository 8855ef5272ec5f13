"""The exercises of *Use attached compute*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% use_attached_compute/laboratory
### BEGIN SOLUTION
laboratory = VirtualMachineCompute(
    name="laboratory",
    resource_id="/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/vision"
    "/providers/Microsoft.Compute/virtualMachines/gpu-box",
    ssh_settings=VirtualMachineSshSettings(
        admin_username="ann", ssh_port=2222, ssh_private_key_file="keys/ann"
    ),
)
### END SOLUTION
helpers.check("use_attached_compute/laboratory", laboratory)


# %% use_attached_compute/action_for
### BEGIN SOLUTION
def action_for(compute):
    made_by_azure_ml = ("amlcompute", "computeinstance")
    return "Delete" if compute.type.lower() in made_by_azure_ml else "Detach"


### END SOLUTION
helpers.check("use_attached_compute/action_for", action_for)


# %% use_attached_compute/tasks
### BEGIN SOLUTION
from databricks.sdk.service.jobs import TaskDependency

tasks = [
    SubmitTask(
        task_key="clean",
        existing_cluster_id="0612-101500-late1",
        spark_python_task=SparkPythonTask(python_file="/Shared/clean.py"),
    ),
    SubmitTask(
        task_key="train",
        depends_on=[TaskDependency(task_key="clean")],
        existing_cluster_id="0612-101500-late1",
        spark_python_task=SparkPythonTask(
            python_file="/Shared/train.py", parameters=["dbfs:/late_flights/flights.csv"]
        ),
    ),
]
### END SOLUTION
helpers.check("use_attached_compute/tasks", tasks)


# %% use_attached_compute/cluster_wins
### BEGIN SOLUTION
def cluster_wins(minutes, nodes, start):
    jobs = 1
    while start + -(-jobs // nodes) * minutes >= jobs * minutes:
        jobs += 1
    return jobs


### END SOLUTION
helpers.check("use_attached_compute/cluster_wins", cluster_wins)
