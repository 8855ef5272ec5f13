"""The resources that a token can be asked for, by the identifiers that Azure accepts for each."""

from __future__ import annotations

ARM = ("https://management.azure.com", "https://management.core.windows.net")
MACHINE_LEARNING = ("https://ml.azure.com",)
STORAGE = ("https://storage.azure.com",)
JOB = ("https://api.azureml.ms",)  # of tokens that jobs are given; nobody can ask for one

KNOWN = frozenset((*ARM, *MACHINE_LEARNING, *STORAGE))


def is_known(resource: str) -> bool:
    """Say whether ``resource``, with or without its trailing slashes, can be asked for."""
    return resource.rstrip("/") in KNOWN
