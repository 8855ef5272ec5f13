"""A scoring script that does what each request asks of it. It imports little, so that it starts fast."""

import json
import os
import time
from pathlib import Path

from azureml_inference_server_http.api.aml_response import AMLResponse


def init():
    while (gate := os.environ.get("INIT_WAITS_FOR")) and not Path(gate).exists():
        time.sleep(0.01)
    print(f"init of {os.environ['DEPLOYMENT']}, models in {os.environ.get('AZUREML_MODEL_DIR')}", flush=True)


def run(raw):
    asked = json.loads(raw)
    print("asked", raw[:200], flush=True)
    if "raise" in asked:
        raise ValueError(asked["raise"])
    if "status" in asked:
        return AMLResponse({"said": "this"}, asked["status"], json_str=True)
    if "count" in asked:
        return len(raw)
    if "wait_for" in asked:
        Path(asked["wait_for"] + ".waits").touch()
        while not Path(asked["wait_for"]).exists():
            time.sleep(0.01)
    if "sleep" in asked:
        time.sleep(asked["sleep"])
    while "hang" in asked:
        pass
    if "bytes" in asked:
        return "x" * asked["bytes"]
    if "files" in asked:
        root = Path(os.environ["AZUREML_MODEL_DIR"])
        return {str(p.relative_to(root)): p.read_bytes().decode("latin-1") for p in root.rglob("*") if p.is_file()}
    if "variables" in asked:
        return dict(os.environ)
    if "exit" in asked:
        os._exit(asked["exit"])
    if "pid" in asked:
        return [os.getpid(), os.environ["DEPLOYMENT"]]
    return {"deployment": os.environ["DEPLOYMENT"], "asked": asked}
