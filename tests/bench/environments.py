"""What a deployment pays for its environment: to find one that was built, against uv finding nothing to install."""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
from pathlib import Path

import uv

from azureml_local.engines.environments import Environments
from azureml_local.engines.requirements import of_environment

# Tiny, and another release than the workbook's own, so that an environment is built.
PIN = "tqdm==4.66.5"
DEFINITION = {
    "image": "mcr.microsoft.com/azureml/minimal-py311-inference",
    "condaFile": json.dumps({"dependencies": ["pip", {"pip": [PIN]}]}),
}


def find_built(rounds: int) -> tuple[list[float], list[float]]:
    """Return the seconds that finding takes, and those of ``uv pip install`` on the same environment, in turns."""
    ours, uvs = [], []
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        python = _find(root)
        for _ in range(rounds):
            began = time.perf_counter()
            _find(root)  # by a new object, as after a restart
            ours.append(time.perf_counter() - began)
            began = time.perf_counter()
            command = [str(uv.find_uv_bin()), "pip", "install", "--quiet", "--system-certs", "--python", python]
            subprocess.run([*command, *of_environment(DEFINITION).to_install()], check=True)
            uvs.append(time.perf_counter() - began)
    return ours, uvs


def _find(root: Path) -> str:
    return asyncio.run(Environments(root / "built").interpreter_for(DEFINITION, root / "log")).python
