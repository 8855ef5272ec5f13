"""Whether lessons can run at all: asked before the first is started."""

from __future__ import annotations

from azureml_local import doctor
from azureml_local.home import Home


def shortcomings(backend: str) -> list[str]:
    """What has to be mended before a lesson can run, a sentence each; empty where all is well."""
    if backend == "azure":
        return []
    return [f"{one.what}: {one.found}. {one.remedy}" for one in doctor.check(Home()) if one.remedy]
