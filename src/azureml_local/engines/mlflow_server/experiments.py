"""The id of an experiment, which follows from its name.

A job is told its experiment's id before MLflow's server runs. Azure ML does not rename experiments
(https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow), so an id stays right.
"""

from __future__ import annotations

import hashlib

DEFAULT = "Default"  # which every workspace has; MLflow's clients know it as "0"
ID_BYTES = 7  # an integer of SQLite has 8, one bit of which is the sign


def experiment_id(name: str) -> int:
    """Return the id of the experiment ``name`` in any workspace."""
    if name == DEFAULT:
        return 0
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:ID_BYTES], "big")
