"""A real JupyterLab in a real Chromium, each with state of its own. Where the machine has no browser, it says so."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyterlab_page import Lab
from playwright.sync_api import Browser

from browsers import launched
from designer.view import bundle
from running_service import RunningService, wait_for

ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+")
GRAPHS = Path(__file__).parents[1]  # where designer_graphs.py lies
# JupyterLab would otherwise ask whether to fetch news.
SETTINGS = {"apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False}}


# Not for the session: as long as it runs, no other test could begin an event loop.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert bundle.is_built(), f"the view is not built, or not of these sources: {bundle.COMMAND}"
    with launched() as started:
        yield started


@pytest.fixture(scope="session")
def lab(service: RunningService, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """JupyterLab on loopback, with a token and a state of its own; its kernels find the service and our graphs."""
    state, folder, token = tmp_path_factory.mktemp("jupyter"), tmp_path_factory.mktemp("lab"), secrets.token_hex()
    for name, settings in SETTINGS.items():
        file = state / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(settings))
    places = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
        "IPYTHONDIR": "ipython",
    }
    environment = {**os.environ, "JUPYTER_TOKEN": token, "AZUREML_LOCAL_HOME": str(service.home.root)}
    environment |= {name: str(state / place) for name, place in places.items()}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(GRAPHS), os.environ.get("PYTHONPATH"))))
    command = [sys.executable, "-m", "jupyter", "lab", "--no-browser", "--ip=127.0.0.1", "--ServerApp.port=0"]
    command += ["--allow-root", f"--ServerApp.root_dir={folder}", "--ServerApp.terminals_enabled=False"]
    log = state / "log"
    with log.open("w") as writer:
        process = subprocess.Popen(command, env=environment, cwd=folder, stderr=writer)
    try:
        found = wait_for(lambda: ADDRESS.search(log.read_text()) or process.poll() is not None, "JupyterLab starts")
        assert isinstance(found, re.Match), log.read_text()
        yield Lab(found[0], token, folder)
    finally:
        process.terminate()  # it ends its kernels, too
        process.wait()
