"""The exercises of *Grow beyond one machine*, solved.

What stands between the markers becomes the learner's to write; `make notebooks` puts the
rest into the lesson.
"""

# %% grow_beyond_one_machine/finish
### BEGIN SOLUTION
from math import ceil


def finish(pieces, seconds, nodes, cores, around):
    at_once = min(nodes, cores)
    return around + ceil(pieces / at_once) * seconds


### END SOLUTION
helpers.check("grow_beyond_one_machine/finish", finish)


# %% grow_beyond_one_machine/trouble
### BEGIN SOLUTION
from collections import Counter


def trouble(files, rows):
    found = Counter(name for name, _ in rows)
    return {
        "missing": sorted(name for name in files if not found[name]),
        "double": sorted(name for name in files if found[name] > 1),
    }


### END SOLUTION
helpers.check("grow_beyond_one_machine/trouble", trouble)


# %% grow_beyond_one_machine/rights
### BEGIN SOLUTION
rights = {
    "key": False,
    "proxy": False,
    "token": False,
    "scheduler": True,
    "ends": False,
    "twice": False,
}
### END SOLUTION
helpers.check("grow_beyond_one_machine/rights", rights)
