"""A service that is killed while it writes the logs of an endpoint: what was written stays, and is there once."""

from __future__ import annotations

import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import psutil
from clients import Clients

from running_service import RunningService, command_line, start_service, wait_for

TABLE = "AmlOnlineEndpointTrafficLog"


class Watched:
    """An endpoint without a deployment, whose traffic (404) is logged."""

    def __init__(self, started: RunningService) -> None:
        self.clients = Clients(started)
        settings = started.settings
        group = f"/subscriptions/{settings.subscription_id}/resourceGroups/{settings.resource_group}/providers"
        self.sink = f"{group}/Microsoft.OperationalInsights/workspaces/{settings.log_workspace}"
        self.workspace = f"{group}/Microsoft.MachineLearningServices/workspaces/{settings.workspace}"

    def create(self) -> None:
        endpoints = self.clients.management.online_endpoints
        endpoints.begin_create_or_update(*self.clients.scope, "watched", self.clients.endpoint()).result(60)
        logs = [{"category": TABLE, "enabled": True}]
        setting = f"{self.workspace}/onlineEndpoints/watched/providers/Microsoft.Insights/diagnosticSettings/s"
        body = {"properties": {"workspaceId": self.sink, "logs": logs}}
        url = f"https://management.azure.com{setting}?api-version=2021-05-01-preview"
        assert self._request("PUT", url, "https://management.azure.com", body).ok

    def score(self, name: str) -> None:
        keys = self.clients.management.online_endpoints.list_keys(*self.clients.scope, "watched")
        headers = {"Authorization": f"Bearer {keys.primary_key}", "User-Agent": name}
        url = "https://watched.eastus.inference.ml.azure.com/score"
        answer = self.clients.session.post(url, json={}, headers=headers, timeout=60)
        assert answer.status_code == 404

    def agents(self) -> list[str]:
        url = f"https://api.loganalytics.io/v1{self.sink}/query"
        answer = self._request("POST", url, "https://api.loganalytics.io", {"query": f"{TABLE} | project UserAgent"})
        assert answer.ok, answer.text
        return [agent for (agent,) in answer.json()["tables"][0]["rows"]]

    def _request(self, method: str, url: str, audience: str, body: Any) -> Any:
        token = self.clients.credential.get_token(f"{audience}/.default").token
        headers = {"Authorization": f"Bearer {token}"}
        return self.clients.session.request(method, url, json=body, headers=headers, timeout=60)


def test_killed_service_keeps_what_could_be_read_and_goes_on() -> None:
    root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp"))
    written = []
    try:
        for run in range(3):
            started = start_service(root)
            watched = Watched(started)
            if run == 0:
                watched.create()
            for number in range(5):
                watched.score(f"r{run}-{number}")
                written.append(f"r{run}-{number}")
            wait_for(lambda watched=watched: set(watched.agents()) >= set(written))
            watched.score(f"r{run}-perhaps lost")
            process = psutil.Process(started.pid)
            os.kill(started.pid, signal.SIGKILL)
            process.wait(60)
        watched = Watched(start_service(root))
        found = watched.agents()
        assert len(found) == len(set(found))
        assert {one for one in found if "lost" not in one} == set(written)
    finally:
        command_line(root, "reset", "--yes")
