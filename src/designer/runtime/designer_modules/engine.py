"""A graph that runs in one process: each component's function is called once all that it needs is there.

A graph here is what a web service's ``graph.json`` holds::

    {"nodes": [{"name": "score", "component": "Score Model", "module": "scoring.score_model",
                "inputs": {"trained_model": {"asset": "MD-flights"}, "dataset": {"node": "clean", "port": "dataset"}},
                "parameters": {"append_score_columns": {"parameter": "append"}}, "outputs": ["scored_dataset"]}, ...],
     "inputs": {"WebServiceInput0": {...}},
     "outputs": {"WebServiceOutput0": {"node": "score", "port": "scored_dataset"}},
     "parameters": {"append": {"type": "boolean", "default": true}}}

A port gets what another node's port carries, an input of the graph (``{"input": "WebServiceInput0"}``), or an asset: a
folder that lies in ``assets`` beside ``graph.json``. A parameter gets a literal, or a parameter of the graph.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any, Self

from . import registry
from .errors import ModuleError

GRAPH, ASSETS = "graph.json", "assets"
Slot = tuple[str, str]  # a node and its port; or INPUT and the name of an input of the graph
INPUT = ""


class EngineError(ValueError):
    """A graph cannot run as it is written: what it names is not there, or it goes round in a circle."""


class NodeError(Exception):
    """A node could not do its work. Its cause is what the component raised.

    Args:
        node: the node's name.
        component: the component's display name.
        cause: what it raised: a ModuleError where its inputs are not what it needs.
    """

    def __init__(self, node: str, component: str, cause: Exception) -> None:
        super().__init__(f"{component} (node {node!r}): {cause}")
        self.node = node
        self.component = component
        self.cause = cause


@dataclass(frozen=True)
class Step:
    """A node, ready to be called.

    Args:
        name: the node's.
        component: the component's display name.
        function: what does the work.
        constants: arguments that are the same each time: literals, and what assets hold.
        ports: arguments that other nodes or the graph's inputs bring.
        parameters: arguments that are parameters of the graph, by its names for them.
        outputs: what the function returns goes here, in this order.
    """

    name: str
    component: str
    function: registry.Function
    constants: Mapping[str, Any]
    ports: Mapping[str, Slot]
    parameters: Mapping[str, str]
    outputs: tuple[Slot, ...]

    def run(self, values: Mapping[Slot, Any], parameters: Mapping[str, Any]) -> Iterable[tuple[Slot, Any]]:
        """Call the function; return what each output port carries. Raises NodeError."""
        inputs = registry.inputs_of(self.function)
        try:
            given = {
                name: registry.literal(parameters[source], inputs[name].type, name)
                for name, source in self.parameters.items()
                if _has_value(parameters[source], inputs[name], name)
            }
            brought = {name: values[slot] for name, slot in self.ports.items()}
            result = self.function(**self.constants, **brought, **given)
        except Exception as error:
            raise NodeError(self.name, self.component, error) from error
        return zip(self.outputs, result if isinstance(result, tuple) else (result,), strict=True)


@dataclass
class Engine:
    """Runs a graph. It keeps nothing of a run, so that threads can share it.

    Only nodes that an output needs are run; those that need neither an input nor a parameter of the graph are run once,
    when the engine is made.

    Args:
        graph: the graph, see above.
        folder: where its assets lie: the folder of ``graph.json``. None for a graph without any.
        find: finds the function of a component by the name in ``module``.

    Raises:
        EngineError: the graph names what is not there, or goes round in a circle.
        NodeError: a node that needs no input failed, or a literal is not what a component takes.
    """

    graph: Mapping[str, Any]
    folder: Path | None = None
    find: Callable[[str], registry.Function] = registry.find
    _steps: list[Step] = field(init=False, repr=False)
    _known: dict[Slot, Any] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        nodes = {node["name"]: node for node in self.graph["nodes"]}
        self._outputs = {name: _slot(one) for name, one in self.graph["outputs"].items()}
        loader = _Assets(self.folder)
        steps = [self._step(nodes[name], loader) for name in _order(nodes, self._outputs)]
        self._check(steps)
        self._known, self._steps = {}, []
        for step in steps:
            if step.parameters or not set(step.ports.values()) <= set(self._known):
                self._steps.append(step)
            else:
                self._known.update(step.run(self._known, {}))

    @classmethod
    def load(cls, folder: Path, find: Callable[[str], registry.Function] = registry.find) -> Self:
        """Return the engine for the ``graph.json`` of a folder."""
        return cls(json.loads((folder / GRAPH).read_text(encoding="utf-8")), folder, find)

    def run(
        self,
        inputs: Mapping[str, Any],
        parameters: Mapping[str, Any] | None = None,
        seen: Callable[[Step, Sequence[Any], Sequence[Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Return what reaches each output of the graph.

        Args:
            inputs: what goes into each input of the graph.
            parameters: values of the graph's parameters; the others have their defaults.
            seen: is told of each step that has run: what its ports got that is of this run, and what came of it.

        Raises:
            NodeError: a component failed.
        """
        given = {name: one.get("default") for name, one in self.graph.get("parameters", {}).items()}
        given.update(parameters or {})
        values = {**self._known, **{(INPUT, name): value for name, value in inputs.items()}}
        for step in self._steps:
            made = dict(step.run(values, given))
            if seen:
                brought = [values[slot] for slot in step.ports.values() if slot not in self._known]
                seen(step, brought, list(made.values()))
            values.update(made)
        return {name: values[slot] for name, slot in self._outputs.items()}

    def _step(self, node: Mapping[str, Any], assets: _Assets) -> Step:
        function = self.find(node["module"])
        inputs = registry.inputs_of(function)
        unknown = [name for name in (*node["inputs"], *node["parameters"]) if name not in inputs]
        if unknown:
            raise EngineError(f"Node {node['name']!r}: {node['component']} has no {unknown[0]!r}.")
        constants: dict[str, Any] = {}
        try:
            for name, source in node["inputs"].items():
                if "asset" in source:
                    constants[name] = assets.load(source["asset"], inputs[name])
            for name, value in node["parameters"].items():
                if not isinstance(value, Mapping):
                    constants[name] = registry.literal(value, inputs[name].type, name)
        except ModuleError as error:
            raise NodeError(node["name"], node["component"], error) from error
        return Step(
            node["name"],
            node["component"],
            function,
            constants,
            {name: _slot(source) for name, source in node["inputs"].items() if "asset" not in source},
            {name: value["parameter"] for name, value in node["parameters"].items() if isinstance(value, Mapping)},
            tuple((node["name"], port) for port in node["outputs"]),
        )

    def _check(self, steps: list[Step]) -> None:
        """Raise EngineError where something that a step or an output needs comes from nowhere."""
        there = {(INPUT, name) for name in self.graph.get("inputs", {})}
        there.update(slot for step in steps for slot in step.outputs)
        for step in steps:
            missing = [slot for slot in step.ports.values() if slot not in there]
            unknown = [name for name in step.parameters.values() if name not in self.graph.get("parameters", {})]
            if missing or unknown:
                raise EngineError(f"Node {step.name!r} needs {(missing or unknown)[0]!r}, which is not there.")
        for name, slot in self._outputs.items():
            if slot not in there:
                raise EngineError(f"Output {name!r} is port {slot[1]!r} of node {slot[0]!r}, which has none such.")


def _has_value(value: Any, wanted: registry.Input, name: str) -> bool:
    """Say whether a parameter of the graph has a value; where the component can do without, it need not.

    Raises:
        ModuleError: it has none, and the component needs one.
    """
    if value is None and not wanted.optional:
        raise ModuleError(3, f"{name} has no value.")
    return value is not None


def _slot(source: Mapping[str, str]) -> Slot:
    return (INPUT, source["input"]) if "input" in source else (source["node"], source["port"])


def _order(nodes: Mapping[str, Mapping[str, Any]], outputs: Mapping[str, Slot]) -> Iterable[str]:
    """Return the nodes that the outputs need, each after those that it needs itself."""
    needs: dict[str, set[str]] = {}
    asked = [node for node, _ in outputs.values() if node != INPUT]
    while asked:
        name = asked.pop()
        if name in needs:
            continue
        if name not in nodes:
            raise EngineError(f"There is no node {name!r}.")
        needs[name] = {source["node"] for source in nodes[name]["inputs"].values() if "node" in source}
        asked.extend(needs[name])
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        raise EngineError(f"The nodes go round in a circle: {' -> '.join(error.args[1])}.") from None


@dataclass
class _Assets:
    """What the folders below ``assets`` hold, each read once."""

    folder: Path | None
    _loaded: dict[tuple[str, type], Any] = field(default_factory=dict)

    def load(self, name: str, wanted: registry.Input) -> Any:
        key = (name, wanted.type)
        if key not in self._loaded:
            self._loaded[key] = wanted.read(str(self._place(name)))
        return self._loaded[key]

    def _place(self, name: str) -> Path:
        if self.folder is None:
            raise EngineError(f"There is no folder for asset {name!r}.")
        assets = (self.folder / ASSETS).resolve()
        place = (assets / name).resolve()
        if not place.is_relative_to(assets) or place == assets:
            raise EngineError(f"Asset {name!r} lies outside of {ASSETS}.")
        if not place.is_dir():
            raise EngineError(f"There is no asset {name!r} in {ASSETS}.")
        return place
