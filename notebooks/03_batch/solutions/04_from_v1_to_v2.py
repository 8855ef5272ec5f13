"""The exercises of *From version 1 to version 2*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% from_v1_to_v2/twins
### BEGIN SOLUTION
twins = {
    "ParallelRunStep": "parallel_run_function",
    "PythonScriptStep": "command component",
    "OutputFileDatasetConfig": "output",
    "PipelineParameter": "input",
    "PublishedPipeline": "deployment",
    "PipelineEndpoint": "batch endpoint",
    "set_default": "default deployment",
    "Schedule.create": "JobSchedule",
    "get_output_data": "jobs.download",
    "path_on_datastore": "none",
}
### END SOLUTION
helpers.check("from_v1_to_v2/twins", twins)


# %% from_v1_to_v2/translate
### BEGIN SOLUTION
def translate(body):
    inputs = {
        name: {"JobInputType": "Literal", "Value": value}
        for name, value in body.get("ParameterAssignments", {}).items()
    }
    for name, path in body.get("DataPathAssignments", {}).items():
        uri = f"azureml://datastores/{path['DataStoreName']}/paths/{path['RelativePath']}"
        inputs[name] = {"JobInputType": "UriFile", "Uri": uri}
    return {"properties": {"InputData": inputs}}


### END SOLUTION
helpers.check("from_v1_to_v2/translate", translate)


# %% from_v1_to_v2/settings
### BEGIN SOLUTION
def settings(config):
    return {
        "mini_batch_size": config["mini_batch_size"],
        "instance_count": config["node_count"],
        "max_concurrency_per_instance": config["process_count_per_node"],
        "error_threshold": config["error_threshold"],
        "retry_settings": {
            "timeout": config["run_invocation_timeout"],
            "max_retries": config["run_max_try"] - 1,
        },
    }


### END SOLUTION
helpers.check("from_v1_to_v2/settings", settings)
