"""Watching a pipeline run: in the graph, whose boxes say how they stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from IPython.display import display

from designer.reading import graph_of_job
from designer.view.picture import Picture
from designer.view.scene import Scene, scene
from designer.view.showing import is_interactive
from helpers.pipelines import Standing, say_ended, standings, watch_in_a_line

if TYPE_CHECKING:
    from collections.abc import Iterable

    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Job


def watch(
    ml_client: MLClient, job: Job | str, what: str, on_azure: str = "", *, interactive: bool | None = None
) -> str:
    """Wait until a pipeline job has ended, and return its last status; its graph shows how each step stands meanwhile.

    Where there is no Jupyter front end, a line shows that, and in its place comes a picture of how each step has ended.

    Args:
        ml_client: the connected workspace.
        job: the pipeline job, or its name.
        what: what it does, e.g. ``"train"``.
        on_azure: how long that takes on Azure, e.g. ``"about 8 minutes"``.
        interactive: whether to show the view that one can move about in; where None, as ``designer.show`` does.

    Raises:
        GraphError: it is no pipeline.
    """
    graph = graph_of_job(ml_client, job)
    name = job if isinstance(job, str) else str(job.name)
    seen, stands = scene(graph), standings(ml_client, name, graph.nodes)
    if is_interactive(interactive):
        last = _in_the_view(seen, stands, what, name)
    else:
        last = watch_in_a_line(stands, what, on_azure)
        display(Picture(seen, last.steps))  # type: ignore[no-untyped-call]
    say_ended(what, last.status, on_azure)
    return last.status


def _in_the_view(seen: Scene, stands: Iterable[Standing], what: str, job: str) -> Standing:
    from designer.view.widget import GraphView

    view = GraphView(seen, {}, job)
    display(view)  # type: ignore[no-untyped-call]
    for standing in stands:
        view.stand(standing.steps, standing.status, f"{what}: {standing.status}, {standing.seconds:.0f} s")
    return standing
