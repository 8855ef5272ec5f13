"""What is written down of one attempt to deploy: its files, its events, and the log text that Azure shows of it."""

from __future__ import annotations

import contextlib
import datetime
import json
import secrets
from pathlib import Path

from azureml_local.engines import instance_log, staging
from azureml_local.home import write_private

# The phases that Azure lists, each with the event that completes it, and what Azure says as it begins and ends.
PHASES = {
    "SystemSetup": None,
    "UserContainerImagePull": "Pulled",
    "ModelDownload": "Downloaded",
    "UserContainerStart": "ContainerReady",
}
MESSAGES = {
    "Scheduled": "Successfully assigned to a node",
    "Pulling": "Start pulling container image",
    "Pulled": "Container image is pulled successfully",
    "Downloading": "Start downloading models",
    "Downloaded": "Models are downloaded successfully or no model need to download",
    "Created": "Created container inference-server",
    "Started": "Started container inference-server",
    "ContainerReady": "Container is ready",
    "ScalingReplicaSet": "Scaled replica set",
    "Killing": "Stopping container inference-server",
}
# With these a phase has failed; other warnings, as of a probe, may pass.
FAILURES = {"FailedScheduling", "ImagePullFailed", "DownloadFailed", "BackOff"}
# How many events are kept: the first, which tell the phases, and the last.
FIRST_EVENTS, LAST_EVENTS = 50, 500
LARGEST_EVENTS = 256 * 1024  # bytes
STAMP = "%Y%m%dT%H%M%S%f"
LOGS = {"inferenceserver": "inference-server.log", "storageinitializer": "storage-initializer.log"}


class DeploymentRecord:
    """One attempt, in a folder of its own.

    Args:
        folder: the attempt's folder; see :meth:`new` and :meth:`latest`.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan = folder / "launch.json"
        self.models = folder / "models"
        self.app = folder / "app"
        self.events = folder / "events.jsonl"

    @property
    def began(self) -> str:
        """When the attempt began, in UTC, as :data:`STAMP` writes it."""
        return self.folder.name.partition("-")[0]

    @property
    def suffix(self) -> str:
        """What tells this attempt from others."""
        return self.folder.name.partition("-")[2]

    @classmethod
    def new(cls, deployment: Path) -> DeploymentRecord:
        """Begin another attempt below a deployment's folder."""
        began = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        latest = cls.latest(deployment)
        if latest:  # the clock may have been set back since, and names are in order of time
            former = datetime.datetime.strptime(latest.began, STAMP)
            began = max(began, former + datetime.timedelta(microseconds=1))
        record = cls(deployment / f"{began.strftime(STAMP)}-{secrets.token_hex(2)}")
        for folder in (record.models, record.app):
            folder.mkdir(parents=True)
        for name in LOGS.values():
            (record.folder / name).touch()
        return record

    @classmethod
    def all(cls, deployment: Path) -> list[DeploymentRecord]:
        """Return the attempts below a deployment's folder, oldest first."""
        return [cls(folder) for folder in sorted(deployment.glob("*T*-*"))]

    @classmethod
    def latest(cls, deployment: Path) -> DeploymentRecord | None:
        """Return the newest attempt, or None where there was none."""
        return next(reversed(cls.all(deployment)), None)

    def forget_files(self) -> None:
        """Delete what was staged; the log and the events stay."""
        for folder in (self.models, self.app):
            staging.remove(folder)

    def logs(self) -> list[Path]:
        """Return the containers' log files."""
        return sorted(self.folder.glob("*.log"))

    def log(self, container: str) -> Path:
        """Return a container's log file; ``container`` in lower case."""
        return self.folder / LOGS[container]

    def event(self, name: str, message: str | None = None) -> None:
        """Note an event."""
        time = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        kind = "Normal" if name in MESSAGES else "Warning"
        entry = {"name": name, "kind": kind, "time": time, "message": message or MESSAGES[name]}
        with self.events.open("a") as file:
            file.write(json.dumps(entry) + "\n")
            if file.tell() > LARGEST_EVENTS:
                self._forget_events()

    def read_events(self) -> list[dict[str, str]]:
        """Return the events with their ``name``, ``kind``, ``time`` and ``message``, oldest first."""
        events = []
        lines = self.events.read_text().splitlines() if self.events.exists() else []
        for line in lines:
            with contextlib.suppress(ValueError):  # a line that a kill, or a full disk, cut off
                events.append(json.loads(line))
        return events

    def _forget_events(self) -> None:
        lines = self.events.read_text().splitlines(keepends=True)
        write_private(self.events, "".join([*lines[:FIRST_EVENTS], *lines[FIRST_EVENTS:][-LAST_EVENTS:]]))

    def write(self, container: str, text: str) -> None:
        """Add a line to a container's log."""
        with self.log(container).open("a") as file:
            file.write(text + "\n")

    def text(self, container: str, tail: int) -> str:
        """Return what ``getLogs`` answers: the phases, the events, and the last ``tail`` lines of the log."""
        events = self.read_events()
        seen = {event["name"] for event in events}
        failed = bool(seen & FAILURES)
        lines = ["Instance status:"]
        for phase, completing in PHASES.items():
            if completing is None or completing in seen:
                state = "Succeeded"
            else:
                state = "Failed" if failed else "InProgress"
                lines.append(f"{phase}: {state}")
                break
            lines.append(f"{phase}: {state}")
        lines += ["", "Container events:"]
        lines += [
            f"Kind: Pod, Name: {event['name']}, Type: {event['kind']}, Time: {event['time']}, "
            f"Message: {event['message']}"
            for event in events
        ]
        last = instance_log.last_lines(self.log(container), tail)
        return "\n".join([*lines, "", "Container logs:", ""]) + "".join(last)
