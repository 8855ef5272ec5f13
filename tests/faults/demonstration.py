"""A minute in the life of an endpoint, under constant load: ``make demo``.

It is scaled out, loses an instance to SIGKILL, gets a second deployment, is switched to that, and is scaled in. What
was answered meanwhile is printed: how many requests with which status, phase by phase. All is done with azure-ai-ml, as
a user would; the load is the lessons' own (helpers.load), which repeats no request.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from chaos import processes

from helpers.loads import Load, load
from running_service import RunningService, command_line, start_service, survivors, wait_for

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import ManagedOnlineDeployment

SCRIPTS = Path(__file__).with_name("scripts")
IMAGE = "mcr.microsoft.com/azureml/minimal-py311-inference"
ENDPOINT = "demonstration"
INSTANCES = 3
PLACES = 2  # requests that an instance may have at a time
CLIENTS = 2 * PLACES  # what a single instance accepts, so that none is refused for there being too many
PHASES = 6


@dataclass(frozen=True)
class Kill:
    """The end of an instance: between which seconds of the load it came, and how many requests it left unfinished."""

    begun: float
    ended: float
    unfinished: int


@dataclass(frozen=True)
class Demonstration:
    """What was seen: every request with its phase, when each phase began, and the kill."""

    answers: pd.DataFrame
    phases: dict[str, float]
    kill: Kill

    def table(self) -> str:
        """Return how many requests of each phase were answered with which status, and how long they took."""
        by_phase = self.answers.groupby("phase", sort=False)
        table = by_phase.status.value_counts().unstack(fill_value=0)
        table.columns = [str(status or "none") for status in table.columns]
        table["median ms"] = by_phase.ms.median().round().astype(int)
        table["p99 ms"] = by_phase.ms.quantile(0.99).round().astype(int)
        return table.rename_axis(None).to_string()


def demonstrate(service: RunningService, ml: MLClient, seconds: float, notes: Path) -> Demonstration:
    """Let it all happen within ``seconds``, or longer where the machine is slow; instances write to ``notes``."""
    from azure.ai.ml.entities import ManagedOnlineEndpoint

    endpoint = ml.online_endpoints.begin_create_or_update(ManagedOnlineEndpoint(name=ENDPOINT)).result()
    blue = _deployment("blue", 1, notes)
    ml.online_deployments.begin_create_or_update(blue).result()
    endpoint.traffic = {"blue": 100}
    ml.online_endpoints.begin_create_or_update(endpoint).result()
    key = ml.online_endpoints.get_keys(ENDPOINT).primary_key
    phases: dict[str, float] = {}
    with load(endpoint.scoring_uri, key, {}, clients=CLIENTS, most=sys.maxsize) as sent:

        @contextmanager
        def phase(name: str) -> Iterator[None]:
            """Let the load go on for a phase's time at least."""
            phases[name] = sent.mark(name)
            ends = time.monotonic() + seconds / PHASES
            yield
            time.sleep(max(0.0, ends - time.monotonic()))

        with phase("one instance"):
            pass
        with phase(f"scale-out to {INSTANCES}"):
            blue.instance_count = INSTANCES
            ml.online_deployments.begin_create_or_update(blue).result()
        with phase(f"SIGKILL of one of {INSTANCES}"):
            kill = _kill_one(service, sent, notes)
            wait_for(lambda: len(_workers(service)) == INSTANCES, "another instance takes its place")
        with phase("green beside blue"):
            green = _deployment("green", INSTANCES, notes)
            ml.online_deployments.begin_create_or_update(green).result()
        with phase("switch to green"):
            endpoint.traffic = {"blue": 0, "green": 100}
            ml.online_endpoints.begin_create_or_update(endpoint).result()
            ml.online_deployments.begin_delete("blue", ENDPOINT).result()
        with phase("scale-in to 1"):
            green.instance_count = 1
            ml.online_deployments.begin_create_or_update(green).result()
    answers = sent.answers
    _, *later = phases.values()
    bounds = [0.0, *later, float("inf")]
    answers["phase"] = pd.cut(answers.seconds, bounds, right=False, labels=list(phases)).astype(str)
    return Demonstration(answers, phases, kill)


def _deployment(name: str, instances: int, notes: Path) -> ManagedOnlineDeployment:
    from azure.ai.ml.entities import CodeConfiguration, Environment, ManagedOnlineDeployment, OnlineRequestSettings

    return ManagedOnlineDeployment(
        name=name,
        endpoint_name=ENDPOINT,
        environment=Environment(name="tiny", image=IMAGE),
        code_configuration=CodeConfiguration(code=str(SCRIPTS), scoring_script="noting.py"),
        environment_variables={"DEPLOYMENT": name, "NOTES": str(notes)},
        instance_type="Standard_DS3_v2",
        instance_count=instances,
        request_settings=OnlineRequestSettings(max_concurrent_requests_per_instance=PLACES),
    )


def _workers(service: RunningService) -> list[Any]:
    return processes(service.pid).get("instance's worker", [])


def _kill_one(service: RunningService, sent: Load, notes: Path) -> Kill:
    """Kill an instance that is at a request."""

    def unfinished(pid: int) -> int:
        written = (notes / str(pid)).read_text().splitlines() if (notes / str(pid)).exists() else []
        return written.count("begun") - written.count("ended")

    victim = wait_for(lambda: next((one for one in _workers(service) if unfinished(one.pid)), None), "one is at work")
    master = victim.parent()
    begun = sent.mark("SIGKILL")
    victim.kill()
    master.kill()
    assert survivors([victim, master]) == []
    return Kill(begun, sent.mark("ended"), unfinished(victim.pid))


def client_of(service: RunningService, set_variable: Callable[[str, str], None]) -> MLClient:
    """Return azure-ai-ml's client of a service; ``set_variable`` gets what ``azureml-local env`` prints."""
    for name, value in service.environment.items():
        set_variable(name, value)
    # Imported only now: the SDK reads some of these variables as it is imported.
    from azure.ai.ml import MLClient
    from azure.identity import EnvironmentCredential

    found = service.settings
    where = (found.subscription_id, found.resource_group, found.workspace)
    return MLClient(EnvironmentCredential(), *where, enable_telemetry=False)


@contextmanager
def own_service() -> Iterator[tuple[RunningService, Path]]:
    """Yield a service in a folder of its own, and a folder for the notes of its instances."""
    with tempfile.TemporaryDirectory(prefix="azl-notes-") as notes:
        root = Path(tempfile.mkdtemp(prefix="azl-", dir="/tmp")).resolve()
        try:
            yield start_service(root), Path(notes)
        finally:
            command_line(root, "stop")
            shutil.rmtree(root, ignore_errors=True)


def main(seconds: float = 60) -> None:
    """Show it on a service of its own."""
    with own_service() as (service, notes):
        shown = demonstrate(service, client_of(service, os.environ.__setitem__), seconds, notes)
    print(f"\n{shown.table()}\n\nThe killed instance left {shown.kill.unfinished} requests unfinished.")


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
