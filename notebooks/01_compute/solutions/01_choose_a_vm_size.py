"""The exercises of *Choose a VM size*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% choose_a_vm_size/eight_workloads
### BEGIN SOLUTION
chosen = {
    "photos": choose(gpus=1, gpu_memory=10),
    "prepare": choose(vcpus=2, memory=7),
    "search": choose(vcpus=64, memory=128),
    "table": choose(memory=300),
    "shards": choose(nvme=3.5),
    "language": choose(gpus=1, gpu_memory=70),
    "eight": choose(gpus=8, gpu_memory=40),
    "legacy": choose(gpus=1, gpu_memory=16, vcpus=6, memory=50),
}
### END SOLUTION
helpers.check("choose_a_vm_size/eight_workloads", chosen)


# %% choose_a_vm_size/most_nodes
### BEGIN SOLUTION
def most_nodes(limit, used, vcpus):
    return max(0, limit - used) // vcpus


### END SOLUTION
helpers.check("choose_a_vm_size/most_nodes", most_nodes)

# %% choose_a_vm_size/cheapest_job
measured = {
    "Standard_D16s_v3": 41.0,
    "Standard_NC4as_T4_v3": 5.2,
    "Standard_NC24ads_A100_v4": 0.6,
    "Standard_ND96asr_v4": 0.15,
}
### BEGIN SOLUTION
cheapest_job = min(measured, key=lambda size: measured[size] * sizes.usd[size])
### END SOLUTION
helpers.check("choose_a_vm_size/cheapest_job", cheapest_job)
