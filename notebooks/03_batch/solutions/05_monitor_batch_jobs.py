"""The exercises of *Monitor batch jobs*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""


# %% monitor_batch_jobs/waiting
### BEGIN SOLUTION
def waiting(source):
    return ask_logs(
        f"{source} | summarize arg_max(TimeGenerated, *) by JobId"
        " | where ExecutionState == 'queued' | project JobName"
    )


### END SOLUTION
helpers.check("monitor_batch_jobs/waiting", waiting)


# %% monitor_batch_jobs/failed_share
### BEGIN SOLUTION
def failed_share(source):
    return ask_logs(
        f"{source} | summarize arg_max(TimeGenerated, *) by JobId"
        " | where ExecutionState in ('succeeded', 'failed')"
        " | summarize Share = 100.0 * countif(ExecutionState == 'failed') / count()"
        " by ClusterName"
    )


### END SOLUTION
helpers.check("monitor_batch_jobs/failed_share", failed_share)

# %% monitor_batch_jobs/next_node
month = pd.DataFrame(
    {
        "cluster": ["training", "scoring", "reports"],
        "nodes": [8, 2, 4],
        "queued p50": [4, 700, 5],
        "queued p95": [9, 2400, 1500],
        "ran p50": [3600, 300, 200],
        "ran p95": [7200, 600, 900],
    }
)
print(month.to_string(index=False))
### BEGIN SOLUTION
next_node = "scoring"
### END SOLUTION
helpers.check("monitor_batch_jobs/next_node", next_node)

# %% monitor_batch_jobs/monthly_cost
### BEGIN SOLUTION
monthly_cost = 4000 * 30 * (3 + 8) * 1100 / 1e9 * 2.30
### END SOLUTION
helpers.check("monitor_batch_jobs/monthly_cost", monthly_cost)
