"""The exercises of *Train an image classifier on a GPU cluster*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% train_on_gpu_cluster/write_the_command
### BEGIN SOLUTION
evaluation = command(
    code="evaluation",
    command="python evaluate.py --images ${{inputs.images}} --model ${{inputs.model}} "
    "--report ${{outputs.report}} --least ${{inputs.least}}",
    inputs={
        "images": Input(type="uri_folder", path="azureml:digit-images:1"),
        "model": Input(type="uri_folder", path="azureml:digit-network:1"),
        "least": 0.95,
    },
    outputs={"report": Output(type="uri_folder")},
    environment=environment,
    compute=cluster_name,
    timeout=600,
)
### END SOLUTION
helpers.check("train_on_gpu_cluster/write_the_command", evaluation)

# %% train_on_gpu_cluster/half_the_epochs
### BEGIN SOLUTION
half = ml_client.jobs.create_or_update(training_job(epochs=5, learning_rate=0.01))
helpers.wait_for_job(ml_client, half, "five epochs", on_azure="about 3 minutes")
quicker = helpers.metrics(ml_client, half)
### END SOLUTION
helpers.check("train_on_gpu_cluster/half_the_epochs", quicker)


# %% train_on_gpu_cluster/stop_early
### BEGIN SOLUTION
def stop_after(accuracies, patience):
    before, last = accuracies[:-patience], accuracies[-patience:]
    return bool(before) and max(last) <= max(before)


### END SOLUTION
helpers.check("train_on_gpu_cluster/stop_early", stop_after)
