"""The exercises of *Run a batch pipeline and obtain its outputs*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% run_and_obtain_outputs/by_hand
### BEGIN SOLUTION
inputs = {
    "plan": {"JobInputType": "UriFile", "Uri": plan_data.path},
    "days": {"JobInputType": "Literal", "Value": 3},
    "threshold": {"JobInputType": "Literal", "Value": 0.2},
}
by_hand = requests.post(
    address,
    headers={**signed(), "repeatability_request-id": str(uuid.uuid4())},
    json={"properties": {"InputData": inputs}},
    timeout=60,
)
helpers.wait_for_job(ml_client, ml_client.jobs.get(by_hand.json()["name"]), "the three days")
### END SOLUTION
helpers.check("run_and_obtain_outputs/by_hand", by_hand)


# %% run_and_obtain_outputs/survives
### BEGIN SOLUTION
def survives(mini_batches, error_threshold):
    failed = sum(
        pages if rows is None else max(pages - rows, 0) for pages, rows in mini_batches
    )
    return error_threshold == -1 or failed <= error_threshold


### END SOLUTION
helpers.check("run_and_obtain_outputs/survives", survives)


# %% run_and_obtain_outputs/read_pages
### BEGIN SOLUTION
import numpy as np


def read_pages(mini_batch):
    rows = []
    for page in mini_batch:
        try:
            image = np.asarray(Image.open(page).convert("L")) / 15
        except OSError:
            rows.append({"page": Path(page).name, "digit": "unreadable"})
        else:
            digit = reader.predict(image.reshape(1, 64))[0]
            rows.append({"page": Path(page).name, "digit": digit})
    return pd.DataFrame(rows)


### END SOLUTION
helpers.check("run_and_obtain_outputs/read_pages", read_pages)

# %% run_and_obtain_outputs/all_pages
### BEGIN SOLUTION
job = ml_client.batch_endpoints.invoke(
    endpoint_name=pages_name,
    deployment_name="slow",
    input=few_pages,
    params_override=[{"mini_batch_size": 5}],
)
helpers.wait_for_job(ml_client, job, "the 25 pages again")
all_pages = read_rows(job)
### END SOLUTION
helpers.check("run_and_obtain_outputs/all_pages", all_pages)
