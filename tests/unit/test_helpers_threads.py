"""Importing helpers says how threads of OpenMP wait, unless the learner has said so:
https://gcc.gnu.org/onlinedocs/libgomp/OMP_005fWAIT_005fPOLICY.html."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("own", "policy"), [({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active")])
def test_how_threads_wait(own: dict[str, str], policy: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    code = "import helpers, os, sys; print('sklearn' in sys.modules, os.environ['OMP_WAIT_POLICY'])"
    command = [sys.executable, "-c", code]
    said = subprocess.run(command, env=environment | own, capture_output=True, text=True, check=True).stdout
    assert said.split() == ["False", policy]
