"""How runs and their tasks end, in Databricks' words.

The states and codes: https://docs.databricks.com/api/azure/workspace/jobs/getrun. What they look like together, as
recorded: a failed task in https://github.com/databricks/databricks-sdk-py/issues/375 and dagster-io/dagster#19715, a
cancelled one in flyteorg/flytekit#1935, a library's in astronomer/astronomer-providers#460.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ACTIVE = ("QUEUED", "PENDING", "BLOCKED", "RUNNING", "TERMINATING")
FAILED_WORKLOAD = "Workload failed, see run output for details"


@dataclass(frozen=True)
class End:
    """An end: the ``life_cycle_state``, the ``result_state``, its message, and code and type of the termination."""

    life_cycle: str
    result: str
    message: str
    code: str
    kind: str
    by_user_or_time: bool = False

    @property
    def is_success(self) -> bool:
        """Whether all went well."""
        return self.result == "SUCCESS"

    def to_state(self) -> dict[str, Any]:
        """Return the members ``state`` and ``status``."""
        return {
            "state": {
                "life_cycle_state": self.life_cycle,
                "result_state": self.result,
                "state_message": self.message,
                "user_cancelled_or_timedout": self.by_user_or_time,
            },
            "status": {
                "state": "TERMINATED",
                "termination_details": {"code": self.code, "type": self.kind, "message": self.message},
            },
        }


def active(life_cycle: str, message: str = "") -> dict[str, Any]:
    """Return the members ``state`` and ``status`` of what has not ended."""
    state = {"life_cycle_state": life_cycle, "state_message": message, "user_cancelled_or_timedout": False}
    return {"state": state, "status": {"state": life_cycle}}


SUCCESS = End("TERMINATED", "SUCCESS", "", "SUCCESS", "SUCCESS")
FAILED = End("TERMINATED", "FAILED", FAILED_WORKLOAD, "RUN_EXECUTION_ERROR", "CLIENT_ERROR")
CANCELED = End("TERMINATED", "CANCELED", "Run cancelled.", "USER_CANCELED", "CLIENT_ERROR", by_user_or_time=True)
TIMED_OUT = End("TERMINATED", "TIMEDOUT", "Run timed out.", "CANCELED", "CLIENT_ERROR", by_user_or_time=True)
UPSTREAM_FAILED = End("TERMINATED", "UPSTREAM_FAILED", "An upstream task failed.", "SKIPPED", "CLIENT_ERROR")
UPSTREAM_CANCELED = End("TERMINATED", "UPSTREAM_CANCELED", "An upstream task was canceled.", "SKIPPED", "CLIENT_ERROR")
EXCLUDED = End("TERMINATED", "EXCLUDED", "The task's run_if condition was not met.", "SKIPPED", "SUCCESS")
CLUSTER_GONE = End(
    "INTERNAL_ERROR",
    "FAILED",
    "The cluster was terminated while the run was using it.",
    "CLUSTER_TERMINATED_BY_USER",
    "CLIENT_ERROR",
)
TOO_MANY_RUNS = End(
    "SKIPPED",
    "MAXIMUM_CONCURRENT_RUNS_REACHED",
    "Skipped because the job's maximum number of concurrent runs was reached.",
    "MAX_CONCURRENT_RUNS_EXCEEDED",
    "CLIENT_ERROR",
)
# What is not Databricks': the service ended, and the drivers with it.
INTERRUPTED = End(
    "INTERNAL_ERROR",
    "FAILED",
    "The driver ended together with the service that had started it, in the middle of the run. Run it again.",
    "DRIVER_ERROR",
    "INTERNAL_ERROR",
)


def unusable(message: str, code: str) -> End:
    """Return the end of a task that could not begin."""
    return End("INTERNAL_ERROR", "FAILED", message, code, "CLIENT_ERROR")


def _all(wanted: Callable[[End], bool]) -> Callable[[Sequence[End]], bool]:
    return lambda ends: all(wanted(end) for end in ends)


def _any(wanted: Callable[[End], bool]) -> Callable[[Sequence[End]], bool]:
    return lambda ends: any(wanted(end) for end in ends)


def _has_failed(end: End) -> bool:
    return end.result in ("FAILED", "TIMEDOUT", "UPSTREAM_FAILED")


# https://docs.databricks.com/api/azure/workspace/jobs/create, tasks.run_if
CONDITIONS: Mapping[str, Callable[[Sequence[End]], bool]] = {
    "ALL_SUCCESS": _all(lambda end: end.is_success),
    "AT_LEAST_ONE_SUCCESS": _any(lambda end: end.is_success),
    "NONE_FAILED": lambda ends: not any(map(_has_failed, ends)) and any(end.is_success for end in ends),
    "ALL_DONE": lambda _: True,
    "AT_LEAST_ONE_FAILED": _any(_has_failed),
    "ALL_FAILED": _all(_has_failed),
}


def not_run(condition: str, upstream: Sequence[End]) -> End | None:
    """Return how a task ends without having begun, by how those that it depends on have; None where it begins."""
    if not upstream or CONDITIONS[condition](upstream):
        return None
    if condition in ("AT_LEAST_ONE_FAILED", "ALL_FAILED"):
        return EXCLUDED
    if any(map(_has_failed, upstream)):
        return UPSTREAM_FAILED
    if any(end.result in ("CANCELED", "UPSTREAM_CANCELED") for end in upstream):
        return UPSTREAM_CANCELED
    return EXCLUDED


def of_run(ends: Mapping[str, End], leaves: Sequence[str]) -> End:
    """Return how a run ends whose tasks have.

    Args:
        ends: how each task has ended, by its key, in their order.
        leaves: the tasks that none depends on.
    """
    troubled = {key: end for key, end in ends.items() if not end.is_success and end.code != "SKIPPED"}
    if all(ends[key].is_success or ends[key] == EXCLUDED for key in leaves):
        if not troubled:
            return SUCCESS
        message = "The run succeeded, but some of its tasks failed."
        return End("TERMINATED", "SUCCESS_WITH_FAILURES", message, "SUCCESS_WITH_FAILURES", "SUCCESS")
    key, first = next(iter(troubled.items()), (leaves[0], ends[leaves[0]]))
    if first.by_user_or_time and first.result == "CANCELED":
        return CANCELED
    skipped = any(end.code == "SKIPPED" for end in ends.values())
    what = "timed out" if first.result == "TIMEDOUT" else "failed"
    message = f"Task {key} {what} with message: {first.message.removesuffix('.')}."
    message += " This caused all downstream tasks to get skipped." if skipped else ""
    return End("INTERNAL_ERROR", "FAILED", message, first.code, first.kind)
