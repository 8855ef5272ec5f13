"""What of a training run is saved: it becomes inputs of the inference graph, named after what made it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from designer.declarations import MODEL, TRANSFORMATION, UNTRAINED
from designer.graph import FromNode, Graph, GraphInput

# As the studio names what it saves:
# https://learn.microsoft.com/azure/machine-learning/tutorial-designer-automobile-price-deploy
PREFIXES = {MODEL: "MD", UNTRAINED: "MD", TRANSFORMATION: "TD"}
DATA_PREFIX = "DS"
LONGEST_NAME = 255


def input_name(source: FromNode) -> str:
    """Return what the input is called that stands for what a port carried in the training run."""
    return f"{source.node}_{source.port}"


def asset_name(training: Graph, source: FromNode) -> str:
    """Return the name of the asset for what a port carried: readable, and the same for each run of the pipeline."""
    prefix = PREFIXES.get(training.data_type(source), DATA_PREFIX)
    parts = (prefix, training.name, source.node, source.port)
    return "-".join(re.sub(r"[^A-Za-z0-9_]+", "_", part).strip("_") for part in parts)[:LONGEST_NAME]


def is_saved(one: GraphInput) -> bool:
    """Say whether an input is what a training run made, or takes its place: not what a caller brings."""
    return one.data_type in PREFIXES or (one.path or "").startswith(f"azureml:{DATA_PREFIX}-")


def saved_ports(training: Graph, inference: Graph) -> dict[str, FromNode]:
    """Return the ports of a training graph whose data an inference graph needs, by the names of its inputs."""
    ports = [FromNode(name, port) for name, node in training.nodes.items() for port in node.component.outputs]
    named = {input_name(port): port for port in ports if input_name(port) not in training.inputs}
    return {name: named[name] for name in inference.inputs if name in named}


def with_paths(graph: Graph, paths: Mapping[str, str]) -> Graph:
    """Return a graph with data for its inputs: what each one's path is, by its name."""
    inputs = {name: replace(one, path=paths.get(name, one.path)) for name, one in graph.inputs.items()}
    return replace(graph, inputs=inputs)
