"""The exercises of *Publish and consume an inference pipeline*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% publish_and_consume/choices
### BEGIN SOLUTION
choices = {
    "gate": "managed",
    "hangar": "kubernetes",
    "month": "batch",
    "trial": "local",
    "notes": "kubernetes",
}
### END SOLUTION
helpers.check("publish_and_consume/choices", choices)


# %% publish_and_consume/request_of
### BEGIN SOLUTION
def request_of(table):
    rows = table.drop(columns="late").astype(object)
    rows = rows.where(rows.notna(), None)
    return {"Inputs": {"WebServiceInput0": rows.to_dict(orient="records")}}


### END SOLUTION
helpers.check("publish_and_consume/request_of", request_of)


# %% publish_and_consume/to_mend
### BEGIN SOLUTION
def to_mend(answer):
    wrong = {}
    for problem in answer.get("error", {}).get("details", []):
        if "column" in problem:
            wrong.setdefault(problem.get("row"), set()).add(problem["column"])
    return wrong


### END SOLUTION
helpers.check("publish_and_consume/to_mend", to_mend)

# %% publish_and_consume/whole_day
### BEGIN SOLUTION
flown = at_the_gate("2013-06-25").drop(columns="late")
whole_day = ask(json.loads(flown.to_json(orient="records")))
### END SOLUTION
helpers.check("publish_and_consume/whole_day", whole_day)
