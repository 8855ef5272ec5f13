"""The exercises of *Secure an endpoint*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% secure_an_endpoint/choose
### BEGIN SOLUTION
modes = {
    "partner": "key",
    "staff": "aad_token",
    "cluster": "aml_token",
    "audited": "aad_token",
}
### END SOLUTION
helpers.check("secure_an_endpoint/choose", modes)


# %% secure_an_endpoint/why_refused
### BEGIN SOLUTION
def why_refused(token, now):
    try:
        found = claims(token)
    except (IndexError, ValueError):
        return "not a token"
    if found["exp"] <= now:
        return "expired"
    if found["aud"].rstrip("/") != "https://ml.azure.com":
        return "audience"
    return "role"


### END SOLUTION
helpers.check("secure_an_endpoint/why_refused", why_refused)


# %% secure_an_endpoint/renew
### BEGIN SOLUTION
def current(token, fetch, now):
    if token is None or now >= token.refresh_after_time_utc:
        return fetch()
    return token


### END SOLUTION
helpers.check("secure_an_endpoint/renew", current)
