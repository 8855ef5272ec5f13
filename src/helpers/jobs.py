"""Following jobs: until their end, in their log, in a picture that lives."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, TextIO

from tqdm import tqdm

from helpers import meter, waits
from helpers.pictures import LivePicture
from helpers.verdicts import MARKS
from helpers.waiting import pauses

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Job
    from matplotlib.axes import Axes

# What a job's status becomes last: https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-command
ENDED = frozenset(("Completed", "Failed", "Canceled"))
# The lines of a streamed log that name the run and the subscription.
NAMES_OF_THE_RUN = ("RunId: ", "Web View: ")


def status_of(ml_client: MLClient, job: Job | str) -> str:
    """Return a job's present status, e.g. ``"Running"``; the SDK has it as a member of an enumeration, or as text."""
    status = ml_client.jobs.get(job if isinstance(job, str) else job.name).status
    return str(getattr(status, "value", status))


def wait_for_job(ml_client: MLClient, job: Job, what: str, on_azure: str = "") -> str:
    """Wait until a job has ended, and return its last status; a line shows how it stands meanwhile.

    Args:
        ml_client: the connected workspace.
        job: what ``jobs.create_or_update`` returned.
        what: what it does, e.g. ``"the training"``.
        on_azure: how long that takes on Azure, e.g. ``"about 3 minutes"``.
    """
    hint = meter.hint(on_azure)
    meter.METER.announce(what, on_azure)
    with tqdm(desc=f"… {what}{hint}", bar_format="{desc}{postfix}", leave=False) as line:
        for seconds in pauses():
            status = status_of(ml_client, job)
            line.set_postfix_str(f"{status}, {seconds:.0f} s")
            if status in ENDED:
                break
    print(f"{MARKS[status == 'Completed']} {what}: {status}{hint}")
    return status


def stream_log(ml_client: MLClient, job: Job) -> None:
    """Show a job's log as it grows, and return when the job has ended: ``ml_client.jobs.stream``.

    It leaves out the lines that name the run, which is another one each time.

    Raises:
        azure.ai.ml.exceptions.JobException: the job failed.
    """
    with waits.noted(), redirect_stdout(_WithoutNames(sys.stdout)):
        ml_client.jobs.stream(job.name)


class _WithoutNames(io.TextIOBase):
    """Passes lines on, unless they name the run."""

    def __init__(self, target: TextIO) -> None:
        self._target = target
        self._line = ""

    def write(self, text: str) -> int:
        *lines, self._line = (self._line + text).split("\n")
        for line in lines:
            if not line.startswith(NAMES_OF_THE_RUN):
                self._target.write(line + "\n")
        return len(text)

    def flush(self) -> None:
        self._target.flush()


def follow(ml_client: MLClient, jobs: Sequence[Job], draw: Callable[[Axes], None], alt: str) -> None:
    """Show a plot that is drawn anew until all of the jobs have ended.

    Args:
        ml_client: the connected workspace.
        jobs: what ``jobs.create_or_update`` returned.
        draw: draws it into the axes that it is given.
        alt: one sentence that says what is to be seen in the end.
    """
    picture = LivePicture(alt)
    for _ in pauses():
        ended = all(status_of(ml_client, job) in ENDED for job in jobs)
        picture.show(draw, at_once=ended)
        if ended:
            break
