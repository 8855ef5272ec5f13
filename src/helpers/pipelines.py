"""Pipelines: how their steps stand, in a picture, a line that lives, a table; a step's log; an output in a folder."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.display import display
from tqdm import tqdm

from helpers.jobs import ENDED, status_of
from helpers.meter import METER, hint
from helpers.pictures import REDRAW_SECONDS
from helpers.pipeline_graph import LOOKS, UNDER_WAY, PipelinePicture, graph_of
from helpers.verdicts import MARKS
from helpers.waiting import pauses

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Job, PipelineComponent, PipelineJob

NOT_STARTED, REUSED = "Not started", "Reused"
IS_REUSED = "azureml.isreused"  # the property of a step whose outputs are those of an earlier run
LOG = "std_log.txt"


def draw_pipeline(pipeline: PipelineJob | PipelineComponent, ml_client: MLClient | None = None) -> PipelinePicture:
    """Return the graph of a pipeline as a picture: its inputs, its steps, what they hand on, its outputs.

    Args:
        pipeline: a pipeline job, sent or not, or a pipeline component.
        ml_client: for a job that was sent, the connected workspace: then the picture says how each step stands.
    """
    graph = graph_of(pipeline)
    return PipelinePicture(graph, step_statuses(ml_client, pipeline) if ml_client else {})


def steps(ml_client: MLClient, job: Job | str) -> dict[str, Job]:
    """Return the child jobs of a pipeline job that have been started so far, by the names of their steps.

    Args:
        ml_client: the connected workspace.
        job: the pipeline job, or its name; also one that a batch endpoint has started.
    """
    children = ml_client.jobs.list(parent_job_name=_name(job))
    return {str(child.display_name or child.name): child for child in children}


def step_statuses(ml_client: MLClient, job: Job | PipelineComponent | str) -> dict[str, str]:
    """Return how each step of a pipeline job stands, by its name: ``"Not started"``, a job's status, ``"Reused"``."""
    return _statuses(ml_client, job, graph_of(ml_client.jobs.get(_name(job))).steps)


def _statuses(ml_client: MLClient, job: Job | PipelineComponent | str, names: Iterable[str]) -> dict[str, str]:
    started = {name: _standing(child) for name, child in steps(ml_client, _name(job)).items()}
    return dict.fromkeys(names, NOT_STARTED) | started


def _name(job: Job | PipelineComponent | str) -> str:
    return job if isinstance(job, str) else str(job.name)


def _standing(child: Job) -> str:
    if str((child.properties or {}).get(IS_REUSED)).lower() == "true":
        return REUSED
    return str(getattr(child.status, "value", child.status))


@dataclass(frozen=True)
class Standing:
    """How a pipeline job stands: its status, the seconds that it was watched, and each step's status by its name."""

    status: str
    seconds: float
    steps: Mapping[str, str]


def standings(ml_client: MLClient, job: Job | str, names: Iterable[str]) -> Iterator[Standing]:
    """Yield how a pipeline job stands, again and again until it has ended.

    Args:
        ml_client: the connected workspace.
        job: the pipeline job, or its name.
        names: its steps.
    """
    names = list(names)
    shown = -REDRAW_SECONDS
    for seconds in pauses():
        status = status_of(ml_client, job)  # before the steps: of a pipeline that has ended, they are the last
        if status in ENDED or seconds - shown >= REDRAW_SECONDS:
            yield Standing(status, seconds, _statuses(ml_client, job, names))
            shown = seconds
        if status in ENDED:
            return


def watch_pipeline(ml_client: MLClient, job: Job, what: str, on_azure: str = "") -> str:
    """Wait until a pipeline job has ended, and return its last status; a line shows how its steps stand meanwhile.

    In its place comes a table of how each step has ended. How long that took this time is no result of the lesson.

    Args:
        ml_client: the connected workspace.
        job: what ``jobs.create_or_update`` or ``batch_endpoints.invoke`` returned.
        what: what it does, e.g. ``"score the flights"``.
        on_azure: how long that takes on Azure, e.g. ``"about 8 minutes"``.
    """
    names = graph_of(ml_client.jobs.get(_name(job))).steps
    last = watch_in_a_line(standings(ml_client, job, names), what, on_azure)
    display(_Table(f"{what}: {last.status}", last.steps))  # type: ignore[no-untyped-call]
    say_ended(what, last.status, on_azure)
    return last.status


def watch_in_a_line(standings: Iterable[Standing], what: str, on_azure: str = "") -> Standing:
    """Show how a pipeline and its steps stand in a line, until it has ended, and return how it stood last."""
    METER.announce(what, on_azure)
    with tqdm(desc=f"… {what}{hint(on_azure)}", bar_format="{desc}{postfix}", leave=False) as line:
        for standing in standings:
            marks = "  ".join(f"{_mark(status)}{step}" for step, status in standing.steps.items())
            line.set_postfix_str(f"{standing.status}, {standing.seconds:.0f} s  {marks}")
    return standing


def say_ended(what: str, status: str, on_azure: str = "") -> None:
    """Print how a pipeline has ended."""
    print(f"{MARKS[status == 'Completed']} {what}: {status}{hint(on_azure)}")


def _mark(standing: str) -> str:
    return LOOKS.get(standing, UNDER_WAY)[0]


class _Table:
    """How the steps of a pipeline stand, as Jupyter shows it."""

    def __init__(self, title: str, statuses: Mapping[str, str]) -> None:
        self._title = title
        self._statuses = statuses

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        lines, rows = [self._title], []
        for step, standing in self._statuses.items():
            mark, colour = LOOKS.get(standing, UNDER_WAY)
            lines.append(f"{step}: {mark}{standing}")
            rows.append(
                f'<tr><th scope="row" style="text-align: left">{escape(step)}</th>'
                f'<td style="text-align: left; background: {colour}; color: #10243e">{escape(mark + standing)}</td>'
                "</tr>"
            )
        head = "".join(f'<th style="text-align: left">{name}</th>' for name in ("step", "status"))
        caption = f'<caption style="text-align: left; white-space: nowrap">{escape(self._title)}</caption>'
        html = f"<table>{caption}<tr>{head}</tr>{''.join(rows)}</table>"
        return {"text/html": html, "text/plain": "\n".join(lines)}


def job_log(ml_client: MLClient, job: Job | str) -> str:
    """Return what a job, e.g. a pipeline's step, has written to standard output and error.

    Raises:
        FileNotFoundError: it has no log: it did not get as far as running its command.
    """
    folder = Path(tempfile.mkdtemp())
    ml_client.jobs.download(_name(job), download_path=folder)
    logs = sorted(folder.rglob(LOG))
    if not logs:
        raise FileNotFoundError(f"The job {_name(job)} has no {LOG}.")
    return logs[0].read_text(encoding="utf-8").rstrip()


def download_output(ml_client: MLClient, job: Job | str, output: str, to: Path | None = None) -> Path:
    """Fetch an output of a job that has ended, and return the folder that holds its files.

    Args:
        ml_client: the connected workspace.
        job: the job, or its name; also one that a batch endpoint has started.
        output: the output's name, e.g. ``"report"``; ``"score"`` where a model deployment has scored.
        to: the folder to put it into; without it, a new temporary one.

    Raises:
        FileNotFoundError: the job has written nothing there.
    """
    folder = to or Path(tempfile.mkdtemp())
    ml_client.jobs.download(_name(job), download_path=folder, output_name=output)
    found = folder / "named-outputs" / output
    if not found.exists():
        raise FileNotFoundError(f"The job {_name(job)} has nothing in its output {output}.")
    return found
