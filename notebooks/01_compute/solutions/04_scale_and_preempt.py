"""The exercises of *Scale a cluster and survive preemption*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% scale_and_preempt/clusters
### BEGIN SOLUTION
clusters = {
    "sweep": AmlCompute(
        name="sweep",
        size="Standard_DS3_v2",
        tier="low_priority",
        min_instances=0,
        max_instances=5,
        idle_time_before_scale_down=120,
    ),
    "desk": AmlCompute(
        name="desk",
        size="Standard_DS3_v2",
        tier="dedicated",
        min_instances=0,
        max_instances=1,
        idle_time_before_scale_down=900,
    ),
    "alarm": AmlCompute(
        name="alarm",
        size="Standard_DS3_v2",
        tier="dedicated",
        min_instances=1,
        max_instances=1,
    ),
}
### END SOLUTION
helpers.check("scale_and_preempt/clusters", clusters)


# %% scale_and_preempt/resumable
### BEGIN SOLUTION
def run(folder, steps, do):
    checkpoint = folder / "done.txt"
    done = int(checkpoint.read_text()) if checkpoint.exists() else 0
    for step in range(done + 1, steps + 1):
        do(step)
        new = folder / "done.new"
        new.write_text(str(step))
        new.replace(checkpoint)


### END SOLUTION
helpers.check("scale_and_preempt/resumable", run)


# %% scale_and_preempt/saved
### BEGIN SOLUTION
def saved(price, hours, again):
    return price * hours - 0.2 * price * hours * (1 + again)


### END SOLUTION
helpers.check("scale_and_preempt/saved", saved)
