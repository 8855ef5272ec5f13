"""Settings of gunicorn under the inference server: those of the server's own command line, but for the address.

A file, because older releases, which old environments bring, ignore a setting here that they do not know, where they
would refuse an option.
"""

import sys

accesslog = "-"
errorlog = "/dev/null"  # the inference server's own log handler writes what would come here
control_socket_disable = True


def worker_exit(_server: object, _worker: object) -> None:
    """Let azureml-ai-monitoring send what it still holds: its own thread ends with the process, whatever waits."""
    monitoring = sys.modules.get("azureml.ai.monitoring.init")
    if monitoring:
        monitoring.teardown(wait_for_flush=True)
