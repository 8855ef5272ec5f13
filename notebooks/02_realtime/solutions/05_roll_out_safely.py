"""The exercises of *Roll out safely*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""


# %% roll_out_safely/canary_share
### BEGIN SOLUTION
def canary_share(per_minute, minutes, wanted):
    for share in range(1, 101):
        if share * per_minute * minutes >= 100 * wanted:
            return share
    return None


### END SOLUTION
helpers.check("roll_out_safely/canary_share", canary_share)

# %% roll_out_safely/roll_back
### BEGIN SOLUTION
split(green=100, blue=0)
responses = [helpers.score(endpoint.scoring_uri, key, request) for _ in range(30)]
### END SOLUTION
helpers.check("roll_out_safely/roll_back", responses)


# %% roll_out_safely/promote
### BEGIN SOLUTION
def promote(old, new):
    shares = [one["failed"] / one["requests"] if one["requests"] else 0 for one in (old, new)]
    if new["failed"] >= 5 and shares[1] > shares[0] + 0.01:
        return "roll back"
    if new["requests"] < 100:
        return "wait"
    if new["p95_ms"] > 1.5 * old["p95_ms"]:
        return "roll back"
    return "promote"


### END SOLUTION
helpers.check("roll_out_safely/promote", promote)
