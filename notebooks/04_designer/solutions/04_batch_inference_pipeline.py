"""The exercises of *Create and publish a batch inference pipeline*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% batch_inference_pipeline/ways
### BEGIN SOLUTION
ways = {
    "gate": "real-time",
    "month": "batch",
    "audit": "batch",
    "rebook": "real-time",
    "crews": "both",
}
### END SOLUTION
helpers.check("batch_inference_pipeline/ways", ways)

# %% batch_inference_pipeline/bad_column
### BEGIN SOLUTION
run = start(partner)
helpers.wait_for_job(ml_client, run, "the partner's flights")
children = helpers.steps(ml_client, run).values()
(culprit,) = [child for child in children if child.status == "Failed"]
bad_column = helpers.job_log(ml_client, culprit).splitlines()[-1]
### END SOLUTION
helpers.check("batch_inference_pipeline/bad_column", bad_column)


# %% batch_inference_pipeline/better
### BEGIN SOLUTION
def better(truth, old, new):
    known = truth.notna()
    of_old, of_new = (brier_score_loss(truth[known], one[known]) for one in (old, new))
    return "version-2" if of_new < of_old else "version-1"


### END SOLUTION
helpers.check("batch_inference_pipeline/better", better)

# %% batch_inference_pipeline/rolled_back
### BEGIN SOLUTION
make_default("version-1")
rolled_back = ml_client.batch_endpoints.get(endpoint_name)
### END SOLUTION
helpers.check("batch_inference_pipeline/rolled_back", rolled_back)
