"""azureml_local.engines.gunicorn_settings, in a process of its own as gunicorn's worker is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from azureml_local.engines.inference_server import GUNICORN_CONFIG

AS_A_WORKER_DOES = """
import runpy, sys
settings = runpy.run_path(sys.argv[1])
settings["post_fork"](None, None)
assert "azure.monitor.opentelemetry.exporter" not in sys.modules
from azureml_inference_server_http.server.appinsights_client import AppInsightsClient
assert AppInsightsClient().enabled is False
assert not any(name.startswith("azure.monitor") for name in sys.modules)
from azure.monitor.opentelemetry.exporter import AzureMonitorLogExporter  # as a scoring script may
assert isinstance(AzureMonitorLogExporter, type)
"""


def test_what_reports_to_application_insights_is_imported_by_those_only_who_use_it(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", AS_A_WORKER_DOES, GUNICORN_CONFIG], cwd=tmp_path, check=True, timeout=120)
