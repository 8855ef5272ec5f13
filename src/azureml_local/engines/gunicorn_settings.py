"""Settings of gunicorn under the inference server: those of the server's own command line, but for the address.

A file, because older releases, which old environments bring, ignore a setting here that they do not know, where they
would refuse an option.
"""

import contextlib
import importlib
import importlib.util
import os
import sys
import types

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

# Sends to Application Insights, which is never enabled here (AML_APP_INSIGHTS_ENABLED), and is more than half of what
# the server imports: without it an instance begins half a second sooner.
EXPORTER = "azure.monitor.opentelemetry.exporter"
EXPORTERS = ("AzureMonitorLogExporter", "AzureMonitorTraceExporter")


def post_fork(_server: object, _worker: object) -> None:
    """Import the server's client of Application Insights without the exporter; whoever imports that later gets it."""
    if SERVER is None or IS_FOLDER or EXPORTER in sys.modules:
        return
    stand_in = types.ModuleType(EXPORTER)
    for name in EXPORTERS:
        setattr(stand_in, name, None)
    sys.modules[EXPORTER] = stand_in
    try:
        with contextlib.suppress(Exception):  # the server imports it again, and says what is wrong
            importlib.import_module("azureml_inference_server_http.server.appinsights_client")
    finally:
        del sys.modules[EXPORTER]


def worker_exit(_server: object, _worker: object) -> None:
    """Let azureml-ai-monitoring send what it still holds: its own thread ends with the process, whatever waits."""
    monitoring = sys.modules.get("azureml.ai.monitoring.init")
    if monitoring:
        monitoring.teardown(wait_for_flush=True)
