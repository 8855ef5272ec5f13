"""A pipeline's graph as a picture: its inputs, steps and outputs, and how the steps stand."""

from __future__ import annotations

import io
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from html import escape
from typing import TYPE_CHECKING, Any

import yaml

from helpers.graph_layout import Edge, Layout, Place, curve, layers
from helpers.svg import INK, PAPER, document, image, in_words, text

if TYPE_CHECKING:
    from azure.ai.ml.entities import PipelineComponent, PipelineJob

# How nodes of a graph are bound to each other:
# https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-pipeline#expression-syntax
BINDING = re.compile(
    r"\$\{\{\s*parent\.(?:inputs\.(?P<input>\w+)|jobs\.(?P<step>\w+)\.outputs\.(?P<output>\w+))\s*\}\}"
)
PARENT_OUTPUT = re.compile(r"\$\{\{\s*parent\.outputs\.(\w+)\s*\}\}")
# How a step stands: the mark says the same as the colour, which can be told apart by those who do not see red or green.
LOOKS = {
    "": ("", "#cfe3f7"),
    "Completed": ("✓ ", "#b5dcf5"),
    "Reused": ("↺ ", "#ddd6f3"),
    "Failed": ("✗ ", "#f6c3a0"),
    "Canceled": ("- ", "#dddddd"),
    "Running": ("▶ ", "#fbf0a8"),
    "Not started": ("○ ", "#f2f2f2"),
}
UNDER_WAY = ("▶ ", "#fbf0a8")  # Queued, Preparing, Finalizing, ...
BOX_HEIGHT, PILL_HEIGHT = 52, 28  # pixels, as are the following
LETTER, PADDING, NAME_MARGIN = 8.4, 28, 42


@dataclass(frozen=True)
class Graph:
    """A pipeline's nodes and edges. A node's key is its kind and name, as in ``"step prepare"``.

    Args:
        name: the pipeline's.
        labels: what stands in each node, by its key; kinds are ``input``, ``step`` and ``output``.
        kinds: what each step is, by its name, e.g. ``"command"``, ``"parallel"``, ``"pipeline"``.
        edges: between them.
    """

    name: str
    labels: Mapping[str, str]
    kinds: Mapping[str, str]
    edges: tuple[Edge, ...]

    @property
    def steps(self) -> list[str]:
        """The names of the steps, each after those that it needs something from."""
        layers = _layers(self)
        steps = [key for key in self.labels if key.startswith("step ")]
        return [key.removeprefix("step ") for key in sorted(steps, key=lambda key: layers[key])]


def graph_of(pipeline: PipelineJob | PipelineComponent) -> Graph:
    """Read the graph of a pipeline job, sent or not, or of a pipeline component."""
    dumped = io.StringIO()
    pipeline.dump(dumped)
    body = yaml.safe_load(dumped.getvalue())
    jobs = body.get("jobs") or {}
    labels = {f"input {name}": _input_label(name, value) for name, value in (body.get("inputs") or {}).items()}
    labels |= {f"input {step}.{name}": name for step, job in jobs.items() for name in _own_data(job)}
    labels |= {f"step {name}": name for name in jobs}
    labels |= {f"output {name}": name for name in body.get("outputs") or {}}
    edges = tuple(dict.fromkeys(edge for name, job in jobs.items() for edge in _edges(name, job)))
    bound = {key for edge in edges for key in (edge.source, edge.target)}
    # Left out: an input that no step uses, and the output "default" of every job that was sent, which holds its logs.
    labels = {key: label for key, label in labels.items() if key in bound or key.startswith("step ")}
    kinds = {name: str(job.get("type", "command")) for name, job in jobs.items()}
    return Graph(str(body.get("display_name") or body.get("name") or "pipeline"), labels, kinds, edges)


def _input_label(name: str, value: Any) -> str:
    """Say what an input is: a literal with its value, data by its name."""
    if isinstance(value, dict):
        value = value.get("default")
    return name if value is None else f"{name} = {value}"


def _own_data(job: Mapping[str, Any]) -> Iterator[str]:
    """Yield the inputs of a step that are data which the step itself names."""
    for name, value in (job.get("inputs") or {}).items():
        if isinstance(value, dict) and value.get("path") and not BINDING.search(str(value["path"])):
            yield name


def _edges(name: str, job: Mapping[str, Any]) -> Iterator[Edge]:
    for value in (job.get("inputs") or {}).values():
        for bound in BINDING.finditer(str(value.get("path", "") if isinstance(value, dict) else value)):
            if bound["input"]:
                yield Edge(f"input {bound['input']}", "", f"step {name}")
            else:
                yield Edge(f"step {bound['step']}", bound["output"], f"step {name}")
    yield from (Edge(f"input {name}.{data}", "", f"step {name}") for data in _own_data(job))
    for output, value in (job.get("outputs") or {}).items():
        for bound in PARENT_OUTPUT.finditer(str(value.get("path", "") if isinstance(value, dict) else value)):
            yield Edge(f"step {name}", output, f"output {bound[1]}")


@dataclass(frozen=True)
class PipelinePicture:
    """A pipeline's graph as Jupyter shows it: an SVG with a text for screen readers, and the same text to be opened.

    Args:
        graph: the pipeline's.
        statuses: how each step stands, by its name; empty for a pipeline that does not run.
    """

    graph: Graph
    statuses: Mapping[str, str] = field(default_factory=dict)

    @property
    def alt(self) -> str:
        """The picture in words, a line for each step and output."""
        lines = [f"The pipeline {self.graph.name}, as a graph."]
        for step in self.graph.steps:
            came = [_said(self.graph, edge) for edge in self.graph.edges if edge.target == f"step {step}"]
            status = f" ({self.statuses[step]})" if step in self.statuses else ""
            lines.append(f"{step}{status} gets {_listed(came)}." if came else f"{step}{status} gets nothing.")
        for key in self.graph.labels:
            if key.startswith("output "):
                came = [_said(self.graph, edge) for edge in self.graph.edges if edge.target == key]
                lines.append(f"The output {self.graph.labels[key]} is {_listed(came)}.")
        return "\n".join(lines)

    @property
    def svg(self) -> str:
        """The picture, as an SVG document."""
        return _draw(self)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        html = image(self.svg, self.alt) + in_words(self.alt)
        return {"text/html": html, "text/plain": self.alt}


def _said(graph: Graph, edge: Edge) -> str:
    kind, _, name = edge.source.partition(" ")
    return f"{edge.output} of {name}" if kind == "step" else graph.labels[edge.source]


def _listed(words: Iterable[str]) -> str:
    *some, last = [*words] or [""]
    return f"{', '.join(some)} and {last}" if some else last


def _layers(graph: Graph) -> dict[str, int]:
    return layers(graph.labels, graph.edges, falls=lambda key: key.startswith("input "))


def _laid_out(graph: Graph) -> Layout:
    places = {key: _place(key, label) for key, label in graph.labels.items()}
    return Layout(places, _layers(graph), graph.edges, BOX_HEIGHT)


def _place(key: str, label: str) -> Place:
    height = BOX_HEIGHT if key.startswith("step ") else PILL_HEIGHT
    least = 13 if key.startswith("step ") else 4  # letters: "✓ Not started" has to fit
    return Place(key, max(len(label), least) * LETTER + PADDING, height)


def _draw(picture: PipelinePicture) -> str:
    graph = picture.graph
    layout = _laid_out(graph)
    parts = (
        *_ways(layout),
        *(_box(node, graph, picture.statuses) for node in layout.places.values()),
        *_ports(layout),
    )
    return document(layout.width + NAME_MARGIN, layout.height, picture.alt, parts)


def _ways(layout: Layout) -> Iterator[str]:
    """Draw the edges, each from the port of its output to a place of its own at its target's upper edge."""
    entries = defaultdict(list)
    for edge, way in layout.ways.items():
        entries[edge.target].append((way[-2].x, edge))
    for target, came in entries.items():
        node = layout.places[target]
        for number, (_, edge) in enumerate(sorted(came, key=lambda one: one[0]), start=1):
            yield _way(layout, edge, node.left + node.width * number / (len(came) + 1))


def _way(layout: Layout, edge: Edge, end: float) -> str:
    path = curve(layout.ways[edge], _port(layout, edge), end)
    return f'<path d="{path}" fill="none" stroke="{INK}" stroke-width="1.6" marker-end="url(#tip)"/>'


def _port(layout: Layout, edge: Edge) -> float:
    """Return where an output leaves its node's lower edge."""
    node = layout.places[edge.source]
    outputs = sorted({one.output for one in layout.ways if one.source == edge.source})
    return node.left + node.width * (outputs.index(edge.output) + 1) / (len(outputs) + 1)


def _ports(layout: Layout) -> Iterator[str]:
    for edge in {(edge.source, edge.output): edge for edge in layout.ways if edge.output}.values():
        node = layout.places[edge.source]
        x, y = _port(layout, edge), node.y + node.height
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{INK}"/>'
        side, anchor = (-8, "end") if _leads_right(layout, edge) else (8, "start")  # where no arrow crosses the name
        yield (
            f'<text x="{x + side:.1f}" y="{y + 14:.1f}" font-size="11.5" text-anchor="{anchor}" fill="{INK}" '
            f'stroke="{PAPER}" stroke-width="3" paint-order="stroke">{escape(edge.output)}</text>'
        )


def _leads_right(layout: Layout, edge: Edge) -> bool:
    """Say whether all arrows of an edge's output go to the right of where they begin."""
    ways = [way for one, way in layout.ways.items() if (one.source, one.output) == (edge.source, edge.output)]
    return all(way[1].x > _port(layout, edge) for way in ways)


def _box(node: Place, graph: Graph, statuses: Mapping[str, str]) -> str:
    kind, _, name = node.key.partition(" ")
    label = escape(graph.labels[node.key])
    if kind != "step":
        return _rectangle(node, PAPER, PILL_HEIGHT / 2) + text(node.x, node.y + 19, 13, label)
    status = statuses.get(name, "")
    mark, colour = LOOKS.get(status, UNDER_WAY)
    below = f"{mark}{status}" if status else graph.kinds[name]
    title = text(node.x, node.y + 22, 15, label, bold=True)
    return _rectangle(node, colour, 8) + title + text(node.x, node.y + 41, 12.5, escape(below))


def _rectangle(node: Place, colour: str, radius: float) -> str:
    place = f'x="{node.left:.1f}" y="{node.y:.1f}" width="{node.width:.1f}" height="{node.height}" rx="{radius}"'
    return f'<rect {place} fill="{colour}" stroke="{INK}" stroke-width="1.4"/>'
