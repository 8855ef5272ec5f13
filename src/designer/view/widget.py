"""The interactive view of a graph: what Python hands to JavaScript, and what of it changes while a pipeline runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import anywidget
import traitlets

from designer.view import bundle
from designer.view.boxes import STEP, Box, Port
from designer.view.looks import CATEGORIES, CHANGES, category, state
from designer.view.picture import Picture
from designer.view.scene import Scene
from designer.view.snippets import reading
from helpers.graph_layout import Place


class GraphView(anywidget.AnyWidget):
    """A graph that one can move about in, and read box by box.

    Where no Jupyter front end is, e.g. on GitHub, the same graph is a picture.

    Args:
        scene: what is shown.
        statuses: how steps stand, by their names.
        job: the name of the pipeline job, where there is one: what its steps have made can then be read.
    """

    _esm = bundle.SCRIPT
    _css = bundle.STYLE
    graph = traitlets.Dict().tag(sync=True)
    statuses = traitlets.Dict().tag(sync=True)

    def __init__(self, scene: Scene, statuses: Mapping[str, str], job: str = "") -> None:
        super().__init__(graph=_graph(scene, job), statuses=_standing(statuses, "", ""))
        self._picture = Picture(scene, statuses)

    def stand(self, statuses: Mapping[str, str], run: str, headline: str) -> None:
        """Show how the steps and the run stand now; ``headline`` says that of the run in words."""
        self.statuses = _standing(statuses, run, headline)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        made = super()._repr_mimebundle_(**options)
        data, metadata = made if isinstance(made, tuple) else (made, {})
        return {**(data or {}), **self._picture._repr_mimebundle_()}, metadata


def _standing(statuses: Mapping[str, str], run: str, headline: str) -> dict[str, Any]:
    looks = {status: dict(zip(("mark", "colour"), state(status), strict=True)) for status in {*statuses.values()}}
    return {"steps": dict(statuses), "looks": looks, "run": run, "headline": headline}


def _graph(scene: Scene, job: str) -> dict[str, Any]:
    placed = scene.placed
    categories = dict.fromkeys(box.category for box in placed.boxes.values())
    rows = sorted({place.y for place in placed.places.values()})
    return {
        "name": scene.name,
        "height": placed.height,
        "boxes": [_box(scene, box, rows.index(placed.places[box.key].y), job) for box in placed.boxes.values()],
        "edges": [
            {**asdict(edge), "path": path, "change": scene.changed_edges.get(edge, "")}
            for edge, path in placed.paths.items()
        ],
        "categories": {name: category(name) for name in sorted(categories, key=[*CATEGORIES, *categories].index)},
        "changes": {name: asdict(look) for name, look in CHANGES.items() if name in scene.changes.values()},
    }


def _box(scene: Scene, box: Box, row: int, job: str) -> dict[str, Any]:
    place = scene.placed.places[box.key]
    return {
        "key": box.key,
        "kind": box.kind,
        "name": box.name,
        "title": box.title,
        "detail": box.detail,
        "what": box.what,
        "category": box.category,
        "description": box.description,
        "change": scene.changes.get(box.key, ""),
        "row": row,
        "x": place.left,
        "y": place.y,
        "width": place.width,
        "height": place.height,
        "inputs": [_port(port, place, place.inputs, gets=_sources(scene, box, port)) for port in box.inputs],
        "outputs": [
            _port(port, place, place.outputs, reads=reading(job, box.name, port) if box.kind == STEP and job else "")
            for port in box.outputs
        ],
        "settings": [
            {"name": one.name, "value": one.value, "isDefault": one.is_default, "description": one.description}
            for one in box.settings
        ],
    }


def _port(port: Port, place: Place, offsets: Mapping[str, float], **more: Any) -> dict[str, Any]:
    return {**asdict(port), "x": offsets[port.name] + place.width / 2, "gets": [], "reads": "", **more}


def _sources(scene: Scene, box: Box, port: Port) -> list[str]:
    return [
        f"{edge.output} of {scene.boxes[edge.source].name}" if edge.output else scene.boxes[edge.source].name
        for edge in scene.edges
        if (edge.target, edge.input) == (box.key, port.name)
    ]
