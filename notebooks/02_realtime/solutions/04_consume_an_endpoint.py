"""The exercises of *Consume an endpoint*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% consume_an_endpoint/traced
### BEGIN SOLUTION
traced = requests.post(
    endpoint.scoring_uri,
    json=one_wine,
    headers={**header, "x-ms-client-request-id": "order_2024-11-4711"},
    timeout=30,
)
### END SOLUTION
helpers.check("consume_an_endpoint/traced", traced)


# %% consume_an_endpoint/request_for
### BEGIN SOLUTION
def request_for(document, count):
    example = document["components"]["schemas"]["ServiceInput"]["example"]
    return {name: [rows[0]] * count for name, rows in example.items()}


### END SOLUTION
helpers.check("consume_an_endpoint/request_for", request_for)


# %% consume_an_endpoint/pause
### BEGIN SOLUTION
def pause(status, attempt):
    if status not in (429, 500, 503) or attempt >= 5:
        return None
    return random.uniform(0.5, 1) * min(60, 2**attempt)


### END SOLUTION
helpers.check("consume_an_endpoint/pause", pause)


# %% consume_an_endpoint/instances_for
### BEGIN SOLUTION
def instances_for(callers, concurrency):
    return -(-callers // (2 * concurrency))


### END SOLUTION
helpers.check("consume_an_endpoint/instances_for", instances_for)
