"""The exercises of *Deploy a model with key authentication*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% deploy_with_keys/by_hand
ten_patients = {"patients": test_x.head(10).to_dict(orient="records")}
### BEGIN SOLUTION
by_hand = requests.post(
    endpoint.scoring_uri,
    headers={
        "Authorization": f"Bearer {keys.secondary_key}",
        "azureml-model-deployment": "blue",
    },
    json=ten_patients,
    timeout=30,
)
### END SOLUTION
helpers.check("deploy_with_keys/by_hand", by_hand)

# %% deploy_with_keys/rotate
### BEGIN SOLUTION
leaked = keys.secondary_key
ml_client.online_endpoints.begin_regenerate_keys(endpoint_name, key_type="secondary").wait()
keys = ml_client.online_endpoints.get_keys(endpoint_name)
tried = [leaked, keys.primary_key, keys.secondary_key]
responses = [helpers.score(endpoint.scoring_uri, key, patients) for key in tried]
### END SOLUTION
helpers.check("deploy_with_keys/rotate", responses)


# %% deploy_with_keys/worth_retrying
### BEGIN SOLUTION
def worth_retrying(status):
    return status in (429, 500, 503)


### END SOLUTION
helpers.check("deploy_with_keys/worth_retrying", worth_retrying)
