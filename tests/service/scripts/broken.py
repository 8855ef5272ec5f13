"""A scoring script that is broken in the way that the variable BREAK names."""

import os
import time
from pathlib import Path

BREAK = os.environ.get("BREAK", "")

if BREAK == "import":
    from somewhere_else import helper  # noqa: F401
if BREAK == "package":
    import a_package_that_nobody_installed  # noqa: F401
if BREAK == "syntax":
    exec("def run(raw) return 1")


def init():
    print("init begins", flush=True)
    if BREAK == "model path":
        Path(os.environ["AZUREML_MODEL_DIR"], "model", "weights.bin").read_bytes()
    if BREAK == "slow init":
        time.sleep(600)
    if BREAK == "exit":
        os._exit(9)


def run(raw):
    if BREAK == "run":
        return {}["a key that is not there"]
    if BREAK == "exit in run":
        os._exit(9)
    return {1, 2} if BREAK == "output type" else "fine"


if BREAK == "no init":
    del init
if BREAK == "no run":
    del run
