"""Settings of gunicorn under the inference server: those of the server's own command line, but for the address.

A file, because older releases, which old environments bring, ignore a setting here that they do not know, where they
would refuse an option.
"""

import importlib.util
import os
import sys

# Old releases of the server (azureml-defaults 1.38 brings 0.4) are a folder, no package: they find their own modules on
# the path only, and what they fail with is in gunicorn's log only.
SERVER = importlib.util.find_spec("azureml_inference_server_http.server")
IS_FOLDER = SERVER is not None and SERVER.origin is None
if SERVER and IS_FOLDER:
    sys.path.extend(SERVER.submodule_search_locations or ())

accesslog = "-"
errorlog = "-" if IS_FOLDER else "/dev/null"  # the inference server's own log handler writes what would come here
control_socket_disable = True

# A container is held to its CPU limit by time; all that a process can be held to is whole cores.
CORES = [int(core) for core in os.environ.get("AZUREML_LOCAL_CORES", "").split(",") if core]
if CORES:
    os.sched_setaffinity(0, CORES)


def worker_exit(_server: object, _worker: object) -> None:
    """Let azureml-ai-monitoring send what it still holds: its own thread ends with the process, whatever waits."""
    monitoring = sys.modules.get("azureml.ai.monitoring.init")
    if monitoring:
        monitoring.teardown(wait_for_flush=True)
