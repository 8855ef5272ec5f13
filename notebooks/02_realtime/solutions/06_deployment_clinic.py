"""The exercises of *The clinic: eight broken deployments*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% deployment_clinic/dov
### BEGIN SOLUTION
# The other cure, ujson in conda.yml, is right as well: the image is then built anew.
mend("dov", "src/score.py", "import ujson  # faster than json\n", "import json\n")
mend("dov", "src/score.py", "ujson.loads", "json.loads")
readmit("dov")
dov = ("missing package", cured("dov"))
### END SOLUTION
helpers.check("deployment_clinic/dov", dov)

# %% deployment_clinic/eva
### BEGIN SOLUTION
mend("eva", "src/score.py", "ROUNDS = 60", "ROUNDS = 0")
readmit("eva")
eva = ("slow init", cured("eva"))
### END SOLUTION
helpers.check("deployment_clinic/eva", eva)

# %% deployment_clinic/finn
### BEGIN SOLUTION
mend("finn", "src/score.py", "    alike = np.zeros((CUSTOMERS, CUSTOMERS))\n", "")
readmit("finn")
finn = ("memory", cured("finn"))
### END SOLUTION
helpers.check("deployment_clinic/finn", finn)

# %% deployment_clinic/gus
### BEGIN SOLUTION
mend("gus", "deployment.yml", "period: 1\n", "period: 10\n")
mend("gus", "deployment.yml", "failure_threshold: 1\n", "failure_threshold: 30\n")
readmit("gus")
gus = ("bad probe", cured("gus"))
### END SOLUTION
helpers.check("deployment_clinic/gus", gus)

# %% deployment_clinic/hana
### BEGIN SOLUTION
mend("hana", "src/score.py", "argmin(axis=1)", "argmin(axis=1).tolist()")
readmit("hana")
hana = ("wrong output type", cured("hana"))
### END SOLUTION
helpers.check("deployment_clinic/hana", hana)
