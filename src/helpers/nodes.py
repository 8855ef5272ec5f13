"""A cluster's nodes: which there are, how they come and go with its jobs, and how they are taken away."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from helpers.jobs import ENDED, status_of
from helpers.pictures import LivePicture
from helpers.waiting import pauses

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Job
    from matplotlib.axes import Axes

# A node's states: https://learn.microsoft.com/rest/api/azureml/compute/list-nodes#nodestate
# The colours can be told apart by those who do not see red or green.
NODE_COLOURS = {
    "running": "#0072b2",
    "idle": "#56b4e9",
    "preparing": "#f0e442",
    "leaving": "#bbbbbb",
    "unusable": "#000000",
    "preempted": "#d55e00",
}
PREEMPTED = "preempted"  # such a node is none any more, and still listed for a while
JOB_COLOURS = {"waits": "#bbbbbb", "runs": "#0072b2", "finalizes": "#56b4e9"}
PHASES = {"Running": "runs", "Finalizing": "finalizes", **dict.fromkeys(ENDED, "has ended")}


def node_states(ml_client: MLClient, cluster: str) -> Counter[str]:
    """Return how many of a cluster's nodes are in which state, as ``ml_client.compute.list_nodes`` lists them."""
    return Counter(_of_node(node, "node_state", "nodeState").lower() for node in ml_client.compute.list_nodes(cluster))


def running_nodes(ml_client: MLClient, cluster: str) -> list[str]:
    """Return the ids of a cluster's nodes that run a job."""
    nodes = ml_client.compute.list_nodes(cluster)
    return [_of_node(node, "node_id", "nodeId") for node in nodes if _of_node(node, "run_id", "runId")]


def _of_node(node: object, documented: str, sent: str) -> str:
    """Return what is known of a node. azure-ai-ml 1.35 leaves its own attributes empty, and keeps what Azure has sent
    under Azure's names.
    """
    return str(getattr(node, documented, None) or getattr(node, sent, None) or "")


@dataclass(frozen=True)
class Sample:
    """How a cluster and its jobs stood at a moment.

    Args:
        at: when; seconds since 1970.
        nodes: how many nodes were in which state.
        jobs: each job's status, by its name.
    """

    at: float
    nodes: Counter[str]
    jobs: dict[str, str]

    @property
    def is_quiet(self) -> bool:
        """Whether all jobs have ended, and no node works, begins or ends."""
        changing = sum(count for state, count in self.nodes.items() if state not in ("idle", PREEMPTED))
        return not changing and ENDED.issuperset(self.jobs.values())


@dataclass(frozen=True)
class Watched:
    """What was seen of a cluster and its jobs, sample after sample."""

    jobs: Sequence[Job]
    samples: list[Sample]

    @property
    def began(self) -> float:
        """When the first job was sent; seconds since 1970."""
        return min(_sent(job) for job in self.jobs)

    @property
    def most_running(self) -> int:
        """How many jobs ran at once, at most."""
        return max(sum(status == "Running" for status in sample.jobs.values()) for sample in self.samples)

    @property
    def waited(self) -> dict[str, float]:
        """How many seconds passed from the sending of each job, by its name, until it was seen to run."""
        return {
            str(job.name): next(sample.at for sample in self.samples if sample.jobs[str(job.name)] in PHASES)
            - _sent(job)
            for job in self.jobs
        }

    def draw(self, upper: Axes, lower: Axes) -> None:
        """Draw the jobs, a bar each, above the number of nodes, both over time."""
        self._draw_jobs(upper)
        self._draw_nodes(lower)

    def _draw_jobs(self, axis: Axes) -> None:
        labels = [str(job.display_name) for job in self.jobs]
        for row, job in enumerate(self.jobs):
            for phase, begins, ends in self._phases(job):
                axis.barh(row, ends - begins, left=begins, color=JOB_COLOURS.get(phase, "none"))
        for phase, colour in JOB_COLOURS.items():
            axis.barh(0, 0, color=colour, label=phase)
        axis.legend(title="a job", frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        axis.set_yticks(range(len(labels)), labels)
        axis.invert_yaxis()
        axis.set_title("Jobs and nodes of a cluster")

    def _phases(self, job: Job) -> Iterator[tuple[str, float, float]]:
        """Yield each phase of a job, with the seconds at which it begins and ends; a sample ends what came before."""
        begins, phase, at = _sent(job) - self.began, "waits", 0.0
        for sample in self.samples:
            at = sample.at - self.began
            now = PHASES.get(sample.jobs[str(job.name)], "waits")
            if now != phase:
                yield phase, begins, at
                begins, phase = at, now
        yield phase, begins, at

    def _draw_nodes(self, axis: Axes) -> None:
        seconds = [sample.at - self.began for sample in self.samples]
        seen = [state for state in NODE_COLOURS if any(sample.nodes[state] for sample in self.samples)]
        counts = [[sample.nodes[state] for sample in self.samples] for state in seen]
        if seen:
            colours = [NODE_COLOURS[state] for state in seen]
            axis.stackplot(seconds, counts, step="post", labels=seen, colors=colours)
            axis.legend(title="a node is", frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        axis.set(xlabel="seconds since the first job was sent", ylabel="nodes", ylim=(0, None))
        axis.locator_params(axis="y", integer=True)


def _sent(job: Job) -> float:
    context = job.creation_context
    assert context is not None and context.created_at is not None  # noqa: S101 - Azure says so of each job
    return float(context.created_at.timestamp())


def watch_cluster(ml_client: MLClient, cluster: str, jobs: Sequence[Job], alt: str) -> Watched:
    """Draw how a cluster's nodes and jobs stand until all jobs have ended and as few nodes are left as may be.

    Args:
        ml_client: the connected workspace.
        cluster: its name.
        jobs: what ``jobs.create_or_update`` returned, sent to this cluster.
        alt: one sentence that says what is to be seen in the end.
    """
    least = ml_client.compute.get(cluster).min_instances
    watched = Watched(jobs, [])
    picture = LivePicture(alt, rows=2)
    for _ in pauses(asking_times=1):  # a job that runs for some seconds is to be seen on a busy machine, too
        # The last first: a job that begins where another has ended must not be asked after that one was.
        statuses = {str(job.name): status_of(ml_client, job) for job in reversed(jobs)}
        sample = Sample(time.time(), node_states(ml_client, cluster), statuses)
        watched.samples.append(sample)
        is_last = sample.is_quiet and sample.nodes["idle"] <= least
        picture.show(watched.draw, at_once=is_last)
        if is_last:
            return watched
    raise AssertionError("unreachable: pauses() ends with an error")
