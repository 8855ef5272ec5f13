"""The exercises of *Watch an endpoint*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% watch_an_endpoint/third_week
third_week = data.sample(week, replace=True, random_state=3)
third_week["mean radius"] *= 1.01
middle = third_week["mean symmetry"].mean()
third_week["mean symmetry"] = middle + 2 * (third_week["mean symmetry"] - middle)
### BEGIN SOLUTION
distance = helpers.drift(train_x, third_week)["distance"]
drifted = distance[distance > 0.1].index.tolist()
### END SOLUTION
helpers.check("watch_an_endpoint/third_week", drifted)

# %% watch_an_endpoint/failures
### BEGIN SOLUTION
failures = ask_logs(
    "AmlOnlineEndpointTrafficLog | where ResponseCode != 200"
    " | summarize count() by DeploymentName"
)
### END SOLUTION
helpers.check("watch_an_endpoint/failures", failures)

# %% watch_an_endpoint/ward_7
### BEGIN SOLUTION
rows_of_ward = ask_logs("AmlOnlineEndpointTrafficLog | where XMSClientRequestId == 'ward-7'")
ward_request = rows_of_ward["XRequestId"][0]
print(ask_logs(f"AmlOnlineEndpointConsoleLog | where Message has '{ward_request}'")["Message"])
left_out = "mean concavity"
### END SOLUTION
helpers.check("watch_an_endpoint/ward_7", left_out)

# %% watch_an_endpoint/economical
### BEGIN SOLUTION
economical = DataCollector(
    collections={"model_inputs": DeploymentCollection(enabled="true")},
    sampling_rate=0.1,
    rolling_rate="hour",
)
### END SOLUTION
helpers.check("watch_an_endpoint/economical", economical)
