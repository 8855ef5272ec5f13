"""The exercises of *Publish a pipeline*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% publish_a_pipeline/choices
### BEGIN SOLUTION
choices = {
    "forms": "model",
    "gate": "online",
    "crews": "pipeline",
    "mlflow": "model",
    "what_if": "pipeline",
}
### END SOLUTION
helpers.check("publish_a_pipeline/choices", choices)

# %% publish_a_pipeline/worst
### BEGIN SOLUTION
late_flights_3 = load_component(
    folder / "pipeline.yml", params_override=[{**ours, "inputs.threshold.default": 0.5}]
)
publish("version-3", ml_client.components.create_or_update(late_flights_3))
job = ml_client.batch_endpoints.invoke(
    endpoint_name, deployment_name="version-3", inputs=weekend
)
helpers.wait_for_job(ml_client, job, "version 3")
report = helpers.download_output(ml_client, job, "report")
worst = json.loads((report / "summary.json").read_text())
### END SOLUTION
helpers.check("publish_a_pipeline/worst", worst)

# %% publish_a_pipeline/weekdays
### BEGIN SOLUTION
weekdays = CronTrigger(expression="30 1 * * 1-5", time_zone="Eastern Standard Time")
### END SOLUTION
helpers.check("publish_a_pipeline/weekdays", weekdays)
