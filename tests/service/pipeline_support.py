"""What the tests of pipelines share: small components, submitting a pipeline, and looking at what became of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from azure.ai.ml import Input, Output, command
from azure.ai.ml.entities import Environment, Job
from job_support import IMAGE, Jobs

ENVIRONMENT = Environment(image=IMAGE)
FOLDER, FILE = Input(type="uri_folder"), Input(type="uri_file")

# Writes its number, after what it was given, if anything.
write: Callable[..., Any] = command(
    name="write",
    command="cat $[[${{inputs.data}}/*]] /dev/null > ${{outputs.out}}/text; "
    "echo ${{inputs.number}} >> ${{outputs.out}}/text",
    environment=ENVIRONMENT,
    inputs={"number": Input(type="integer", default=1), "data": Input(type="uri_folder", optional=True)},
    outputs={"out": Output(type="uri_folder")},
)
# Ends only once a file is there.
wait: Callable[..., Any] = command(
    name="wait",
    command="touch ${{inputs.here}}; while [ ! -e ${{inputs.gate}} ]; do sleep 0.02; done; "
    "echo > ${{outputs.out}}/text",
    environment=ENVIRONMENT,
    inputs={"gate": Input(type="string"), "here": Input(type="string", default="/dev/null")},
    outputs={"out": Output(type="uri_folder")},
    is_deterministic=False,
)
fail: Callable[..., Any] = command(
    name="fail",
    command="echo > ${{outputs.out}}/text; exit 3",
    environment=ENVIRONMENT,
    outputs={"out": Output(type="uri_folder")},
)


@dataclass(frozen=True)
class Pipelines:
    """Pipelines on one cluster of the session's service."""

    jobs: Jobs

    def submit(self, pipeline: Any, **settings: Any) -> str:
        """Submit what a pipeline function has returned, and return the job's name."""
        for name, value in settings.items():
            setattr(pipeline.settings, name, value)
        job: Job = self.jobs.ml.jobs.create_or_update(pipeline)
        assert job.name is not None
        return job.name

    def run(self, pipeline: Any, **settings: Any) -> Ran:
        """Submit a pipeline, wait for its end, and return what became of it."""
        name = self.submit(pipeline, **settings)
        self.jobs.ended(name)
        return Ran(self.jobs, name)


@dataclass(frozen=True)
class Ran:
    """A pipeline that has ended, or one within another."""

    jobs: Jobs
    name: str

    @property
    def run(self) -> dict[str, Any]:
        """Its run, as run history shows it."""
        return self._history(f"/runs/{self.name}/details")

    @property
    def children(self) -> dict[str, dict[str, Any]]:
        """The runs of its steps, by their display names."""
        return {run["displayName"]: run for run in self._history(f"/runs/{self.name}/children")["value"]}

    @property
    def statuses(self) -> dict[str, str]:
        """How its steps stand, those that have begun."""
        return {name: run["status"] for name, run in self.children.items()}

    def child(self, step: str) -> Ran:
        return Ran(self.jobs, self.children[step]["runId"])

    @property
    def status(self) -> str:
        return str(self.run["status"])

    @property
    def error(self) -> str:
        return str(self.run["error"]["error"]["message"])

    def text(self, output: str) -> str:
        """The one file ``text`` of a folder that is an output, read where the output says that it lies."""
        asset = self.jobs.ml.data.get(*self._asset(output))
        return self._read(f"{asset.path.partition('/paths/')[2].rstrip('/')}/text")

    def _asset(self, output: str) -> tuple[str, str]:
        run = self._history(f"/runs/{self.name}")
        *_, name, _, version = run["outputs"][output]["assetId"].split("/")
        return name, version

    def _read(self, blob: str) -> str:
        container = self.jobs.ml.datastores.get("workspaceblobstore").container_name
        (content,) = self.jobs.files(container, blob).values()
        return content.decode()

    def _history(self, path: str) -> dict[str, Any]:
        arm = self.jobs.arm
        answer = arm.session.get(
            f"https://{arm.settings.location}.api.azureml.ms/history/v1.0{arm.workspace}{path}",
            headers={"Authorization": f"Bearer {arm.token}"},
            timeout=60,
        )
        assert answer.status_code == 200, answer.text
        return dict(answer.json())
