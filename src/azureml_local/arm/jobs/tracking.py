"""What MLflow is told of jobs: on Azure ML each job is also a run, whose id is the job's name.

MLflow's server takes seconds to start, and many jobs never ask it for anything. So what it has to know of a job is
noted in the store, with the job itself, and handed over before the next request to it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from azureml_local.engines.mlflow_server import JSON_HEADERS, MlflowServer
from azureml_local.engines.mlflow_server.experiments import experiment_id
from azureml_local.http.upstream import Headers, UpstreamResponse
from azureml_local.identity import audiences
from azureml_local.identity.tokens import Principal, TokenService
from azureml_local.store import Resource, Store

NOTE = "workspaces/mlflowNotes"  # of a run: what the server has not been told yet
# "Maximum job lifetime": https://learn.microsoft.com/azure/machine-learning/how-to-manage-quotas
TOKEN_LIFETIME = 21 * 24 * 3600  # seconds
# https://learn.microsoft.com/azure/machine-learning/how-to-track-experiments-mlflow#filter-runs-by-status, which lacks
# those between; they are the nearest of its words.
STATUSES: Mapping[str, str] = {
    "NotStarted": "SCHEDULED",
    "Queued": "SCHEDULED",
    "Provisioning": "SCHEDULED",
    "Preparing": "SCHEDULED",
    "Starting": "SCHEDULED",
    "Running": "RUNNING",
    "Finalizing": "RUNNING",
    "CancelRequested": "RUNNING",
    "NotResponding": "RUNNING",
    "Completed": "FINISHED",
    "Failed": "FAILED",
    "Canceled": "KILLED",
}
BATCH = 500  # notes that are handed over at once
MOST_FOUND = 4096  # that are remembered
ENDED = frozenset(("FINISHED", "FAILED", "KILLED"))


class Tracking:
    """MLflow's server as the rest of the service uses it.

    Args:
        store: where what the server has not been told yet is noted.
        tokens: issues the tokens of jobs.
        server: MLflow's server.
    """

    def __init__(self, store: Store, tokens: TokenService, server: MlflowServer) -> None:
        self._store = store
        self._tokens = tokens
        self._server = server
        self._handing_over: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._found: set[tuple[str, str]] = set()

    def create_run(
        self, workspace_id: str, run_id: str, *, experiment: str, display_name: str, user: str, tags: Mapping[str, str]
    ) -> None:
        """Make the run of a new job; part of the store's present transaction.

        Args:
            workspace_id: the workspace's id.
            run_id: the job's name.
            experiment: the name of its experiment, which is made where there is none.
            display_name: the run's name.
            user: who submitted it.
            tags: the job's.
        """
        note = {
            "run_id": run_id,
            "experiment": experiment,
            "name": display_name,
            "user": user,
            "tags": dict(tags),
            "start_time": _milliseconds(),
            "status": STATUSES["NotStarted"],
            "end_time": None,
        }
        self._store.put(_note_id(workspace_id, run_id), NOTE, workspace_id, note, user)

    def set_status(self, workspace_id: str, run_id: str, status: str) -> None:
        """Give the run the status of its job, in Azure ML's words; part of the store's present transaction."""
        word = STATUSES[status]
        self._add(workspace_id, run_id, {"status": word, "end_time": _milliseconds() if word in ENDED else None})

    def log_metrics(self, workspace_id: str, run_id: str, metrics: Mapping[str, float]) -> None:
        """Give the run metrics that the service itself measures; part of the store's present transaction.

        Of several values of one that come before anybody asks MLflow, the last is kept.
        """
        now = _milliseconds()
        self._add(workspace_id, run_id, {"metrics": {name: (value, now) for name, value in metrics.items()}})

    def update_run(self, workspace_id: str, before: Resource, after: Resource) -> None:
        """Give the run what was changed of its job's display name and tags; part of the store's present transaction.

        What is changed of a run is not told to its job.
        """
        known, new = before.properties, after.properties
        changes: dict[str, Any] = {}
        if new["displayName"] != known["displayName"]:
            changes["name"] = new["displayName"]
        tags = dict(new["tags"].items() - known["tags"].items())
        if tags:
            changes["tags"] = tags
        if changes:
            self._add(workspace_id, after.name, changes)

    def delete_run(self, workspace_id: str, run_id: str) -> None:
        """Delete the run of a deleted job for good: another may have its name. Part of the store's transaction."""
        self._store.delete(_note_id(workspace_id, run_id))
        # A note of its own, which the run of the next job of that name does not replace.
        note_id = f"{workspace_id}/mlflowDeletions/{uuid.uuid4()}"
        self._store.put(note_id, NOTE, workspace_id, {"run_id": run_id, "deleted": True}, "")
        self._found.clear()

    def variables(self, workspace: Resource, run_id: str, experiment: str, principal: Principal) -> dict[str, str]:
        """Return the environment variables by which MLflow in a job's process finds the job's run.

        The token is good for this workspace's MLflow only, and permits what ``principal``, who submitted the job, may
        do there.
        """
        token, _ = self._tokens.issue(principal, audiences.of_jobs(_guid(workspace)), TOKEN_LIFETIME)
        return {
            "MLFLOW_TRACKING_URI": workspace.properties["mlFlowTrackingUri"].replace("azureml://", "https://", 1),
            "MLFLOW_TRACKING_TOKEN": token,
            "MLFLOW_EXPERIMENT_NAME": experiment,
            "MLFLOW_EXPERIMENT_ID": str(experiment_id(experiment)),
            "MLFLOW_RUN_ID": run_id,
            "MLFLOW_DISABLE_TELEMETRY": "true",  # what runs on a learner's machine reports to nobody
            "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",  # of MLflow's own pages, which Azure ML has not either
        }

    async def send(
        self, workspace: Resource, method: str, target: str, headers: Headers = JSON_HEADERS, body: bytes = b""
    ) -> UpstreamResponse:
        """Send a request about a workspace to MLflow's server, which knows of all its jobs then.

        Raises:
            MlflowServerError: the server does not start, or broke off.
        """
        await self._hand_over(workspace)
        return await self._server.send(_guid(workspace), method, target, headers, body)

    def is_out_of_space(self) -> bool:
        """Say whether the server cannot write because its disk is full."""
        return self._server.is_out_of_space()

    def found(self, workspace: Resource, path: str) -> None:
        """Remember that the server has what ``path`` asks for, a run or a logged model: they are never replaced."""
        if len(self._found) >= MOST_FOUND:
            self._found.clear()
        self._found.add((_guid(workspace), path))

    def was_found(self, workspace: Resource, path: str) -> bool:
        """Say whether the server had what ``path`` asks for."""
        return (_guid(workspace), path) in self._found

    def forget(self, workspace: Resource) -> None:
        """Delete the experiments and runs of a deleted workspace."""
        self._server.forget(_guid(workspace))

    async def _hand_over(self, workspace: Resource) -> None:
        async with self._handing_over[workspace.key]:  # in order
            notes = self._store.children(NOTE, workspace.id)
            for start in range(0, len(notes), BATCH):
                batch = notes[start : start + BATCH]
                await self._server.write_jobs(_guid(workspace), [note.body for note in batch])
                self._forget_told(batch)

    def _forget_told(self, notes: Iterable[Resource]) -> None:
        with self._store.transaction():
            for note in notes:
                now = self._store.get(note.id)
                if now and now.body == note.body:  # else there is something new to tell
                    self._store.delete(note.id)

    def _add(self, workspace_id: str, run_id: str, changes: Mapping[str, Any]) -> None:
        """Note changes of a run beside those that the server has not been told yet."""
        note_id = _note_id(workspace_id, run_id)
        known = self._store.get(note_id)
        note: dict[str, Any] = {**(known.body if known else {"run_id": run_id}), **changes}
        for members in ("tags", "metrics"):
            if known and members in changes:
                note[members] = {**known.body.get(members, {}), **changes[members]}
        self._store.put(note_id, NOTE, workspace_id, note, "")


def _note_id(workspace_id: str, run_id: str) -> str:
    return f"{workspace_id}/mlflowNotes/{run_id}"


def _guid(workspace: Resource) -> str:
    guid: str = workspace.properties["workspaceId"]
    return guid


def _milliseconds() -> int:
    return time.time_ns() // 1_000_000
