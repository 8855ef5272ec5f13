"""The environment of a web service: what its components' own environments name, together, and the inference server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from designer.declarations import Declaration, Library
from designer.errors import GraphError, Problem
from designer.graph import Graph

ENVIRONMENTS = Path(__file__).parent / "environments"
SERVING = ENVIRONMENTS / "serving.yml"


def write(graph: Graph, path: Path) -> None:
    """Write the conda file for a graph's components.

    Raises:
        GraphError: two of them want different versions of a package.
    """
    packages: dict[str, str] = {}
    channels: dict[str, None] = {}
    others: dict[str, None] = {}
    for file in dict.fromkeys([*_files(graph), SERVING]):
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        channels |= dict.fromkeys(content.get("channels", ()))
        for one in content["dependencies"]:
            if not isinstance(one, dict):
                others[one] = None
        for requirement in _pip(content):
            name = _name(requirement)
            if packages.setdefault(name, requirement) != requirement:
                raise GraphError(Problem(f"One component needs {packages[name]}, another one {requirement}."))
    dependencies: list[Any] = [*others, {"pip": sorted(packages.values())}]
    path.write_text(
        yaml.safe_dump(
            {"name": "web-service", "channels": list(channels), "dependencies": dependencies}, sort_keys=False
        ),
        encoding="utf-8",
    )


def _pip(content: Any) -> list[str]:
    return [requirement for one in content["dependencies"] if isinstance(one, dict) for requirement in one["pip"]]


def _name(requirement: str) -> str:
    from packaging.requirements import Requirement

    return Requirement(requirement).name.lower()


def _files(graph: Graph) -> Iterator[Path]:
    """Yield the conda file of each component, where it has one that lies here."""
    ours = {one.module: one for one in Library().values()}
    for node in graph.nodes.values():
        component = node.component if node.component.path else ours.get(node.component.module, node.component)
        if (file := _file(component)) is not None:
            yield file


def _file(component: Declaration) -> Path | None:
    if component.path is None:
        return None
    environment = yaml.safe_load(component.path.read_text(encoding="utf-8")).get("environment")
    if not isinstance(environment, dict) or "conda_file" not in environment:
        return None
    return component.path.parent.joinpath(environment["conda_file"]).resolve()
