"""The exercises of *Scale a cluster and survive preemption*."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from helpers.verdicts import CheckResult, exercise, right, wrong

START = 5.0  # minutes until a node is ready
DAY = 24 * 60.0  # minutes
# When jobs come, in minutes since the day began.
AT_ONCE = [0.0] * 40
OFFICE_HOURS = range(9 * 60, 17 * 60, 10)
AT_THREE = [3 * 60.0]
DEFAULT_IDLE = 120  # seconds: what AmlCompute takes when nothing is said


@dataclass(frozen=True)
class Day:
    """What a cluster was like for a day, in minutes: each job's wait, the last job's end, and what was paid for."""

    waits: list[float]
    end: float
    paid: float


def _live_through(cluster: Any, arrivals: Sequence[float], minutes: float) -> Day:
    """Let a cluster work through jobs of one node that take ``minutes`` each, in the order of their arrival."""
    idle = _idle_minutes(cluster)
    permanent = cluster.min_instances or 0
    began = [0.0] * permanent  # of each node there ever was
    free = [0.0] * permanent  # since when each node has been idle
    alive = list(range(permanent))
    waits = []
    for arrival in arrivals:
        alive = [node for node in alive if node < permanent or free[node] + idle >= arrival]
        ready = min(alive, key=lambda node: free[node], default=None)
        if len(alive) < cluster.max_instances and (ready is None or free[ready] > arrival):
            began.append(arrival)
            free.append(arrival + START)
            ready = len(free) - 1
            alive.append(ready)
        if ready is None:  # no node is allowed
            return Day([DAY], DAY, 0.0)
        start = max(arrival, free[ready])
        waits.append(start - arrival)
        free[ready] = start + minutes
    last = [DAY if node < permanent else free[node] + idle for node in range(len(free))]
    return Day(waits, max(free), sum(last) - sum(began))


def _idle_minutes(cluster: Any) -> float:
    seconds = cluster.idle_time_before_scale_down
    return (DEFAULT_IDLE if seconds is None else seconds) / 60


def _is_cheap(cluster: Any) -> bool:
    return str(cluster.tier or "dedicated").lower().replace("_", "") == "lowpriority"


def _sweep(cluster: Any) -> str | None:
    if not _is_cheap(cluster):
        return "its jobs keep checkpoints and nobody waits for them, and it pays the full price."
    if cluster.min_instances:
        return "it pays for a node also in the 19 hours in which it has nothing to do."
    day = _live_through(cluster, AT_ONCE, 30)
    if day.end > 5 * 60:
        return f"40 training runs on {cluster.max_instances} nodes are done after {day.end / 60:.1f} hours."
    if _idle_minutes(cluster) > 30:
        return "its nodes idle for longer than a training takes, and nothing will come any more."
    return None


def _desk(cluster: Any) -> str | None:
    if _is_cheap(cluster):
        return "people work on it, and lost work is a nuisance to them: not with low priority."
    if cluster.min_instances:
        return "a node is paid for all night, and nobody is there."
    day = _live_through(cluster, OFFICE_HOURS, 5)
    if sum(wait >= START for wait in day.waits) > 1:
        return "its node goes between two jobs, so that each waits for a node to start. How long does a node idle?"
    if _idle_minutes(cluster) > 60:
        return "in the evening its node idles for more than an hour; five minutes would bridge the gaps."
    return None


def _alarm(cluster: Any) -> str | None:
    if _is_cheap(cluster):
        return "with low priority the job may be interrupted."
    if max(_live_through(cluster, AT_THREE, 5).waits) > 0.5:
        return "at three in the morning the job waits for a node to start."
    if cluster.min_instances > 1:
        return f"{cluster.min_instances} nodes are paid for day and night, and one is enough for a job."
    return None


JUDGES = {"sweep": _sweep, "desk": _desk, "alarm": _alarm}


@exercise("scale_and_preempt/clusters", "Assign a dictionary with the three keys, an `AmlCompute(...)` for each.")
def clusters(answer: Any) -> CheckResult:
    """Accept for each team a cluster with which it waits as little, and pays as little, as it asks for."""
    from azure.ai.ml.entities import AmlCompute

    if not isinstance(answer, dict):
        return wrong(f"a dictionary is wanted, this is of type {type(answer).__name__}.")
    if missing := [key for key in JUDGES if not isinstance(answer.get(key), AmlCompute)]:
        return wrong(f"an `AmlCompute` for each key is wanted; missing: {', '.join(missing)}.")
    for key, judge in JUDGES.items():
        if (answer[key].min_instances or 0) > answer[key].max_instances:
            return wrong(f'"{key}": it is to have more nodes at least than at most.')
        if trouble := judge(answer[key]):
            return wrong(f'"{key}": {trouble}')
    desk, alarm = (_live_through(answer[key], came, 5) for key, came in (("desk", OFFICE_HOURS), ("alarm", AT_THREE)))
    return right(f'"desk" pays for {desk.paid / 60:.1f} hours of a node a day, "alarm" for {alarm.paid / 60:.0f}.')


STEPS = 6
TAKEN_AT = (1, 3, 3, 6)  # the steps in whose middle the node is taken away, one after another


class _TakenAwayError(BaseException):
    """As when a process is killed: nothing that catches exceptions should go on after it."""


@dataclass
class _Attempts:
    """Calls ``run`` again and again, each time until its node is taken away, or to its end."""

    taken_at: list[int]
    done: list[int] = field(default_factory=list)
    is_gone: bool = False
    went_on: bool = False

    def do(self, step: int) -> None:
        self.went_on |= self.is_gone
        if not self.is_gone and step in self.taken_at[:1]:
            self.is_gone = True
            del self.taken_at[:1]
            raise _TakenAwayError
        self.done.append(step)

    def run_to_the_end(self, run: Any, folder: Path) -> None:
        while True:
            self.is_gone = False
            try:
                run(folder, STEPS, self.do)
            except _TakenAwayError:
                continue
            self.went_on |= self.is_gone
            return


@exercise("scale_and_preempt/resumable", "Write a function of a folder, a number of steps, and a function of a step.")
def resumable(answer: Any) -> CheckResult:
    """Accept a function that does each step, in order, and after an interruption none that was done."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    attempts = _Attempts(list(TAKEN_AT))
    with tempfile.TemporaryDirectory() as folder:
        attempts.run_to_the_end(answer, Path(folder))
        finished = list(attempts.done)
        attempts.run_to_the_end(answer, Path(folder))
    if attempts.went_on:
        return wrong("it went on after its node was gone. Do not catch what `do` raises.")
    if sorted(set(finished)) != list(range(1, STEPS + 1)):
        return wrong(f"of the steps 1 to {STEPS}, these were done: {finished}.")
    if len(set(finished)) < len(finished):
        return wrong(f"steps were done twice: {finished}. Where is it kept, in `folder`, how far it has come?")
    if finished != sorted(finished):
        return wrong(f"the steps were done in another order: {finished}.")
    if attempts.done != finished:
        return wrong("called once more after its end, it did steps again.")
    return right("four times its node was taken away, and no step that was done was done again.")


# Price, hours, share done again, and what is saved: price x hours x (1 - 0.2 x (1 + share)).
SAVINGS = ((1.0, 100.0, 0.0, 80.0), (0.526, 10.0, 0.5, 3.682), (2.0, 50.0, 4.0, 0.0), (1.0, 10.0, 9.0, -10.0))


@exercise("scale_and_preempt/saved", "Write a function of a price, hours and a share that returns USD.")
def saved(answer: Any) -> CheckResult:
    """Accept a function that subtracts the cost with low priority, work done again included, from the full price."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for price, hours, again, expected in SAVINGS:
        result = float(answer(price, hours, again))
        if abs(result - expected) < 0.005:
            continue
        if abs(result - (price * hours - expected)) < 0.005:
            return wrong("that is what low priority costs. What is saved is the difference from the full price.")
        if again == 0:
            return wrong(f"100 hours at 1 USD cost 100 USD, and 20 USD with low priority; yours saves {result:.2f}.")
        if expected <= 0 <= result:
            return wrong(f"with {again:.0%} done again low priority saves {expected:.2f} USD; yours says {result:.2f}.")
        return wrong(f"{hours:g} hours and {again:.0%} of them again are {hours * (1 + again):g} hours to pay for.")
    return right("without checkpoints a long job may have to be begun again and again; with them the share is small.")
