"""The exercises of *Deploy locally with Docker*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""


# %% deploy_locally_with_docker/host_port
### BEGIN SOLUTION
def host_port(ports, listens_on):
    published = ports.get(f"{listens_on}/tcp")
    return int(published[0]["HostPort"]) if published else None


### END SOLUTION
helpers.check("deploy_locally_with_docker/host_port", host_port)

# %% deploy_locally_with_docker/with_probability
### BEGIN SOLUTION
told_more = """
    sure = model.predict_proba(flowers).max(axis=1).tolist()
    names = [SPECIES[number] for number in model.predict(flowers).tolist()]
    pairs = zip(names, sure)
    return [{"species": name, "probability": value} for name, value in pairs]
"""
before, _, _ = script.read_text().partition("    return [")
script.write_text(before + told_more)
engine.containers.get(f"{endpoint_name}.blue").restart()
uri = ml_client.online_endpoints.get(endpoint_name, local=True).scoring_uri
helpers.wait_until(lambda: is_live(uri), "the server is live again")
with_probability = helpers.score(uri, None, flowers)
### END SOLUTION
helpers.check("deploy_locally_with_docker/with_probability", with_probability)

# %% deploy_locally_with_docker/found_here
claims = {
    "a": "the script reads a file that is not in the model's folder",
    "b": "nine of ten callers get the old version, one the new one",
    "c": "callers without a key are turned away",
    "d": "a package is missing in the image",
    "e": "a liveness probe that is too impatient restarts the server",
    "f": "run() fails when a caller leaves out a field",
}
### BEGIN SOLUTION
found_here = {"a", "d", "f"}
### END SOLUTION
helpers.check("deploy_locally_with_docker/found_here", found_here)
