"""The exercises of *Evaluate compute options*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% evaluate_compute_options/table
### BEGIN SOLUTION
table = """
option               | real-time | scales | from zero | guaranteed | free idle
kubernetes           | yes | yes | no  | yes | no
managed endpoint     | yes | yes | no  | yes | no
dedicated cluster    | no  | yes | yes | yes | yes
low-priority cluster | no  | yes | yes | no  | yes
serverless           | no  | yes | yes | yes | yes
compute instance     | no  | no  | no  | yes | no
virtual machine      | no  | no  | no  | yes | no
databricks           | no  | yes | yes | yes | yes
local                | no  | no  | no  | yes | yes
"""
### END SOLUTION
helpers.check("evaluate_compute_options/table", table)

# %% evaluate_compute_options/choices
### BEGIN SOLUTION
choices = {
    "shop": "managed endpoint",
    "factory": "kubernetes",
    "overnight": "dedicated cluster",
    "sweep": "low-priority cluster",
    "newcomer": "compute instance",
    "spark": "databricks",
    "script": "local",
}
### END SOLUTION
helpers.check("evaluate_compute_options/choices", choices)


# %% evaluate_compute_options/break_even
### BEGIN SOLUTION
def break_even(minutes, cluster_usd, endpoint_usd):
    runs = 0
    while cluster_hours(runs, minutes) * cluster_usd <= 24 * endpoint_usd:
        runs += 1
    return runs


### END SOLUTION
helpers.check("evaluate_compute_options/break_even", break_even)
