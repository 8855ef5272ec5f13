"""The exercises of *Autoscale a deployment*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% autoscale_a_deployment/causes
### BEGIN SOLUTION
causes = {"a": "cooldown", "b": "flapping", "c": "no data", "d": "maximum"}
### END SOLUTION
helpers.check("autoscale_a_deployment/causes", causes)


# %% autoscale_a_deployment/scale_in_below
### BEGIN SOLUTION
def scale_in_below(scale_out_above, minimum):
    return scale_out_above * minimum / (minimum + 1)


### END SOLUTION
helpers.check("autoscale_a_deployment/scale_in_below", scale_in_below)

# %% autoscale_a_deployment/mornings
### BEGIN SOLUTION
from azure.mgmt.monitor.models import Recurrence, RecurrentSchedule

days = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday"]
schedule = RecurrentSchedule(
    time_zone="W. Europe Standard Time", days=days, hours=[8], minutes=[30]
)
mornings = profile("mornings", 2, 4)
mornings.recurrence = Recurrence(frequency="Week", schedule=schedule)
### END SOLUTION
helpers.check("autoscale_a_deployment/mornings", mornings)


# %% autoscale_a_deployment/instance_hours
### BEGIN SOLUTION
def instance_hours(asked, per_instance, minimum, maximum):
    needed = [-(-requests // per_instance) for requests in asked]
    return sum(min(max(count, minimum), maximum) for count in needed)


### END SOLUTION
helpers.check("autoscale_a_deployment/instance_hours", instance_hours)
