"""Whether lessons can run at all: asked before the first is started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence

from azureml_local import doctor
from azureml_local.home import Home


def shortcomings(backend: str, selection: Sequence[str]) -> list[str]:
    """What has to be mended before lessons can run, in lines; empty where all is well.

    Args:
        backend: on Azure the pre-flight is asked, on this machine what ``azureml-local doctor`` checks.
        selection: which lessons, as arguments of the pre-flight.
    """
    if backend == "azure":
        # In a process of its own: it prints what it finds, and signs in, which is no matter of this one.
        preflight = [sys.executable, "-m", "course.preflight", *selection]
        asked = subprocess.run(preflight, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)  # noqa: S603
        return asked.stdout.splitlines() if asked.returncode else []
    return [f"{one.what}: {one.found}. {one.remedy}" for one in doctor.check(Home()) if one.remedy]
