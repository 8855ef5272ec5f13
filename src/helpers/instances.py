"""How many instances a deployment has, watched in a picture that lives."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING

from helpers.pictures import LivePicture
from helpers.waiting import pauses

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from matplotlib.axes import Axes

READY = "Succeeded"
LOST = ("Failed", "Canceled")  # a deployment stays so until it is updated


class InstanceWatch:
    """A deployment's number of instances over time; see :func:`watch_instances`."""

    def __init__(self, ml_client: MLClient, endpoint: str, deployment: str, alt: str) -> None:
        import matplotlib.pyplot  # noqa: F401 - the first time it takes seconds, in which nothing would be watched

        self._ml_client = ml_client
        self._names = (deployment, endpoint)
        self._picture = LivePicture(alt)
        self._began = time.monotonic()
        self._samples: list[tuple[float, int, bool]] = []  # seconds, how many, and whether they are there
        self._marks: list[tuple[float, str]] = []

    @property
    def counts(self) -> list[int]:
        """The numbers of instances that the deployment was to have, one after another."""
        numbers = [count for _, count, _ in self._samples]
        return [count for count, _ in itertools.groupby(numbers)]

    def mark(self, what: str) -> None:
        """Note that something happens now; the picture shows a line."""
        self._marks.append((time.monotonic() - self._began, what))

    def until(self, count: int) -> None:
        """Watch until the deployment has so many instances, and all of them are there.

        Raises:
            RuntimeError: the deployment has failed, or what was to change it was cancelled.
            TimeoutError: that is not so after an hour.
        """
        for _ in pauses():
            deployment = self._ml_client.online_deployments.get(*self._names)
            is_ready = deployment.provisioning_state == READY
            self._samples.append((time.monotonic() - self._began, int(deployment.instance_count), is_ready))
            is_lost = deployment.provisioning_state in LOST
            is_last = is_lost or (is_ready and deployment.instance_count == count)
            self._picture.show(self._draw, at_once=is_last)
            if is_lost:
                raise RuntimeError(_advice(*self._names, deployment.provisioning_state))
            if is_last:
                return

    def _draw(self, axis: Axes) -> None:
        seconds = [seconds for seconds, *_ in self._samples]
        numbers = [count for _, count, _ in self._samples]
        axis.step(seconds, numbers, where="post", color="#0072b2", label="instances")
        changing = [(at, count) for at, count, is_ready in self._samples if not is_ready]
        if changing:
            moments, counts = [at for at, _ in changing], [count for _, count in changing]
            axis.scatter(moments, counts, s=18, color="#e69f00", marker="s", label="being changed", zorder=3)
        for at, what in self._marks:
            axis.axvline(at, color="#767676", linestyle="--", linewidth=1)
            axis.annotate(what, (at, 1), (3, -3), ("data", "axes fraction"), "offset points", va="top")
        axis.set(title="Instances of the deployment", xlabel="seconds", ylabel="instances")
        axis.set_ylim(0, max(numbers) + 0.7)
        axis.locator_params(axis="y", integer=True)
        axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))


def _advice(deployment: str, endpoint: str, state: str) -> str:
    return (
        f"The deployment {deployment} is {state}, and will not get other instances as it is. Its log says why: "
        f'ml_client.online_deployments.get_logs("{deployment}", "{endpoint}", lines=200). Mend that, and update it '
        "with ml_client.online_deployments.begin_create_or_update."
    )


def watch_instances(ml_client: MLClient, endpoint: str, deployment: str, alt: str) -> InstanceWatch:
    """Return a watch on a deployment's number of instances, whose picture lives in the cell that asks for it.

    Args:
        ml_client: the connected workspace.
        endpoint: the endpoint's name.
        deployment: the deployment's name.
        alt: one sentence that says what is to be seen in the end.
    """
    return InstanceWatch(ml_client, endpoint, deployment, alt)
