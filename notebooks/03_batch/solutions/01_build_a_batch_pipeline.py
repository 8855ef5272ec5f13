"""The exercises of *Build a batch pipeline*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% build_a_batch_pipeline/known
### BEGIN SOLUTION
known = {"a", "c", "e", "g"}
### END SOLUTION
helpers.check("build_a_batch_pipeline/known", known)


# %% build_a_batch_pipeline/side_by_side
### BEGIN SOLUTION
@dsl.pipeline(display_name="two models")
def two_models(plan, old, new, first_day):
    prepared = prepare(plan=plan, first_day=first_day, days=days)
    scored_old = score(flights=prepared.outputs.flights, model=old)
    scored_new = score(flights=prepared.outputs.flights, model=new)
    collected_old = collect(flights=prepared.outputs.flights, scores=scored_old.outputs.scores)
    collected_new = collect(flights=prepared.outputs.flights, scores=scored_new.outputs.scores)
    return {
        "old_report": collected_old.outputs.report,
        "new_report": collected_new.outputs.report,
    }


side_by_side = two_models(plan_input, model_input, model_input, "2013-07-01")
### END SOLUTION
helpers.check("build_a_batch_pipeline/side_by_side", side_by_side)

# %% build_a_batch_pipeline/again_after
### BEGIN SOLUTION
again_after = {
    "threshold": {"collected"},
    "model": {"scored", "collected"},
    "count": {"counted", "collected"},
    "plan": {"prepared", "scored", "counted", "collected"},
    "label": set(),
}
### END SOLUTION
helpers.check("build_a_batch_pipeline/again_after", again_after)

# %% build_a_batch_pipeline/weekend
### BEGIN SOLUTION
import json

job = late_flights(plan_input, model_input, "2013-07-04", 4, threshold=0.3)
job.settings.default_compute = cluster_name
job = ml_client.jobs.create_or_update(job, experiment_name="late-flights")
helpers.wait_for_job(ml_client, job, "the long weekend")
report = helpers.download_output(ml_client, job, "report")
weekend = json.loads((report / "summary.json").read_text())
### END SOLUTION
helpers.check("build_a_batch_pipeline/weekend", weekend)
