"""The exercises of *Score your first model*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""


# %% first_model/to_request
### BEGIN SOLUTION
def to_request(image):
    return {"images": [image.ravel().tolist()]}


### END SOLUTION
helpers.check("first_model/to_request", to_request)

# %% first_model/all_at_once
### BEGIN SOLUTION
all_at_once = helpers.score(endpoint.scoring_uri, key, {"images": test_images.tolist()})
### END SOLUTION
helpers.check("first_model/all_at_once", all_at_once)

# %% first_model/read_the_log
### BEGIN SOLUTION
helpers.score(endpoint.scoring_uri, key, {"pictures": []})
log = ml_client.online_deployments.get_logs(
    name="blue", endpoint_name=endpoint_name, lines=200
)
error_line = next(line for line in reversed(log.splitlines()) if "Error:" in line)
### END SOLUTION
helpers.check("first_model/read_the_log", error_line)
