"""Showing a graph: as a view that one can move about in where there is a Jupyter front end, else as a picture."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from designer.comparison import Changes
from designer.graph import Graph
from designer.reading import graph_of_job, read_graph
from designer.view import bundle
from designer.view.picture import Picture, SideBySide
from designer.view.scene import Scene, one_over_the_other, scene
from helpers.pipelines import step_statuses

if TYPE_CHECKING:
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import PipelineJob

# Jupyter Server gives it to the kernels of its sessions: papermill, nbval and nbclient start kernels without one.
SESSION = "JPY_SESSION_NAME"


def show(
    shown: Graph | PipelineJob | Path | str | Changes,
    statuses: Mapping[str, str] | None = None,
    changes: Changes | None = None,
    interactive: bool | None = None,
    *,
    ml_client: MLClient | None = None,
    side_by_side: bool = False,
) -> Any:
    """Return a graph as Jupyter shows it: its boxes, their ports, how each step stands, what has changed.

    Args:
        shown: a graph, a pipeline job, or its YAML; or what ``designer.compare`` returned: then the second graph, and
            over it what of the first is no longer there.
        statuses: how its steps stand, by their names, as ``helpers.step_statuses`` returns them.
        changes: what ``designer.compare`` returned, where the graph is one of the two: what has become of each box.
        interactive: whether it can be moved about in; where None, if this kernel belongs to a Jupyter session.
        ml_client: of a job that was sent, the connected workspace: then each box says how its step stands, and what a
            step has put out can be read.
        side_by_side: of changes, show the two graphs beside each other, as pictures.

    Raises:
        GraphError: the pipeline has a component that lies in a workspace, and no ``ml_client`` was given.
    """
    if side_by_side and isinstance(shown, Changes):
        return SideBySide(tuple(Picture(scene(one, shown), statuses or {}) for one in (shown.before, shown.after)))
    if ml_client and not isinstance(shown, Graph | Path | Changes):
        job = shown if isinstance(shown, str) else str(shown.name)
        seen = scene(graph_of_job(ml_client, job), changes)
        return _view(seen, step_statuses(ml_client, job), interactive, job)
    return _view(_scene(shown, changes), statuses or {}, interactive)


def _view(seen: Scene, statuses: Mapping[str, str], interactive: bool | None, job: str = "") -> Any:
    if not is_interactive(interactive):
        return Picture(seen, statuses)
    from designer.view.widget import GraphView

    return GraphView(seen, statuses, job)


def _scene(shown: Graph | PipelineJob | Path | str | Changes, changes: Changes | None) -> Scene:
    if isinstance(shown, Changes):
        return one_over_the_other(shown)
    return scene(shown if isinstance(shown, Graph) else read_graph(shown), changes)


def is_interactive(wanted: bool | None) -> bool:
    """Say whether to show the interactive view; where it is missing, say so, and that there is a picture instead."""
    if not (SESSION in os.environ if wanted is None else wanted):
        return False
    if not bundle.is_built():
        print(f"The interactive view has not been built; this is the picture. To build it: {bundle.COMMAND}")
        return False
    return True
