"""A graph in one process: order, what is run and how often, what is refused, and several threads at once."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from designer_modules import Dataset, ModuleError
from designer_modules.engine import Engine, EngineError, NodeError
from designer_modules.registry import Function


class Calls:
    """Components that note that they were called."""

    def __init__(self) -> None:
        self.made: list[str] = []

    def source(self, data: str, has_header: bool = True) -> Dataset:
        self.made.append("source")
        return Dataset(pd.DataFrame({"x": [float(data)]}))

    def add(self, left: Dataset, right: Dataset, factor: float = 1.0) -> Dataset:
        self.made.append("add")
        return Dataset(left.frame + right.frame * factor)

    def halves(self, dataset: Dataset) -> tuple[Dataset, Dataset]:
        self.made.append("halves")
        return Dataset(dataset.frame / 2), Dataset(-dataset.frame / 2)

    def fails(self, dataset: Dataset) -> Dataset:
        raise ModuleError(1, "It is not there.", column="y", row=3)

    def breaks(self, dataset: Dataset) -> Dataset:
        raise KeyError("y")


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def engine(calls: Calls) -> Callable[..., Engine]:
    """Make an engine of nodes, and of outputs as ``{name: "node.port"}``."""

    def find(name: str) -> Function:
        return getattr(calls, name)

    def make(*nodes: dict[str, Any], outputs: dict[str, str], **graph: Any) -> Engine:
        sources = {name: source(text) for name, text in outputs.items()}
        return Engine({"nodes": nodes, "outputs": sources, **graph}, find=find)

    return make


def source(text: str) -> dict[str, str]:
    node, _, port = text.partition(".")
    return {"node": node, "port": port} if port else {"input": node}


def node(name: str, function: str, *outputs: str, parameters: dict[str, Any] | None = None, **ports: str) -> dict:
    return {
        "name": name,
        "component": name.title(),
        "module": function,
        "inputs": {port: source(text) for port, text in ports.items()},
        "parameters": parameters or {},
        "outputs": list(outputs) or ["dataset"],
    }


def one(value: float) -> Dataset:
    return Dataset(pd.DataFrame({"x": [value]}))


def result(outputs: dict[str, Any], name: str = "out") -> float:
    return float(outputs[name].frame["x"][0])


def test_runs_each_node_after_those_that_it_needs(engine: Callable[..., Engine]) -> None:
    graph = engine(
        node("last", "add", left="split.second", right="sum.dataset"),
        node("split", "halves", "first", "second", dataset="sum.dataset"),
        node("sum", "add", left="given", right="three.dataset"),
        node("three", "source", parameters={"data": "3"}),
        inputs={"given": {}},
        outputs={"out": "last.dataset", "half": "split.first"},
    )
    outputs = graph.run({"given": one(5)})
    assert result(outputs) == 4  # -(5 + 3) / 2 + (5 + 3)
    assert result(outputs, "half") == 4


def test_runs_only_what_an_output_needs_and_what_needs_no_input_once(
    engine: Callable[..., Engine], calls: Calls
) -> None:
    graph = engine(
        node("three", "source", parameters={"data": "3"}),
        node("sum", "add", left="given", right="three.dataset"),
        node("dead", "halves", "first", "second", dataset="sum.dataset"),
        inputs={"given": {}},
        outputs={"out": "sum.dataset"},
    )
    assert calls.made == ["source"]
    assert [result(graph.run({"given": one(value)})) for value in (1, 2)] == [4, 5]
    assert calls.made == ["source", "add", "add"]


def test_a_parameter_has_its_default_or_what_a_run_gives(engine: Callable[..., Engine]) -> None:
    graph = engine(
        node("three", "source", parameters={"data": "3"}),
        node("sum", "add", left="given", right="three.dataset", parameters={"factor": {"parameter": "times"}}),
        inputs={"given": {}},
        outputs={"out": "sum.dataset"},
        parameters={"times": {"type": "number", "default": 2.0}},
    )
    assert result(graph.run({"given": one(1)})) == 7
    assert result(graph.run({"given": one(1)}, {"times": 10})) == 31
    assert result(graph.run({"given": one(1)})) == 7


def test_an_output_may_be_what_came_in(engine: Callable[..., Engine]) -> None:
    assert result(engine(inputs={"given": {}}, outputs={"out": "given"}).run({"given": one(8)})) == 8


def test_threads_share_an_engine(engine: Callable[..., Engine]) -> None:
    graph = engine(
        node("split", "halves", "first", "second", dataset="given"),
        node("sum", "add", left="split.first", right="given"),
        inputs={"given": {}},
        outputs={"out": "sum.dataset"},
    )
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda value: result(graph.run({"given": one(value)})), range(200)))
    assert results == [value * 1.5 for value in range(200)]


@pytest.mark.parametrize(("function", "cause"), [("fails", ModuleError), ("breaks", KeyError)])
def test_what_a_component_raises_names_the_node(
    engine: Callable[..., Engine], function: str, cause: type[Exception]
) -> None:
    graph = engine(node("bad one", function, dataset="given"), inputs={"given": {}}, outputs={"out": "bad one.dataset"})
    with pytest.raises(NodeError) as raised:
        graph.run({"given": one(1)})
    assert (raised.value.node, raised.value.component) == ("bad one", "Bad One")
    assert isinstance(raised.value.cause, cause)


@pytest.mark.parametrize(
    ("nodes", "outputs", "said"),
    [
        (
            [node("a", "halves", "x", "y", dataset="b.x"), node("b", "halves", "x", "y", dataset="a.y")],
            {"out": "a.x"},
            "round in a circle: (a -> b -> a|b -> a -> b)",
        ),
        ([node("a", "halves", dataset="b.x")], {"out": "a.dataset"}, "no node 'b'"),
        ([node("a", "fails", dataset="elsewhere")], {"out": "a.dataset"}, "'elsewhere'"),
        ([node("a", "fails", dataset="given")], {"out": "a.nothing"}, "port 'nothing' of node 'a'"),
        ([node("a", "fails", other="given")], {"out": "a.dataset"}, "A has no 'other'"),
        (
            [node("a", "add", left="given", right="given", parameters={"factor": {"parameter": "unknown"}})],
            {"out": "a.dataset"},
            "'unknown'",
        ),
    ],
)
def test_refuses_a_graph_that_cannot_run(
    engine: Callable[..., Engine], nodes: list[dict], outputs: dict[str, str], said: str
) -> None:
    with pytest.raises(EngineError, match=said):
        engine(*nodes, inputs={"given": {}}, outputs=outputs)


def test_refuses_a_literal_that_the_component_cannot_take(engine: Callable[..., Engine]) -> None:
    with pytest.raises(NodeError, match="factor is 'many', which is no number"):
        engine(
            node("a", "add", left="given", right="given", parameters={"factor": "many"}),
            inputs={"given": {}},
            outputs={"out": "a.dataset"},
        )


@pytest.mark.parametrize("asset", ["../outside", "/etc", "", ".", "link", "missing"])
def test_an_asset_lies_in_its_folder(tmp_path: Path, calls: Calls, asset: str) -> None:
    one(1).save(tmp_path / "outside")
    (tmp_path / "model" / "assets").mkdir(parents=True)
    (tmp_path / "model" / "assets" / "link").symlink_to(tmp_path / "outside")
    written = node("a", "halves", "x", "y")
    written["inputs"] = {"dataset": {"asset": asset}}
    graph = {"nodes": [written], "outputs": {"out": source("a.x")}}
    (tmp_path / "model" / "graph.json").write_text(json.dumps(graph))
    with pytest.raises(EngineError, match="asset"):
        Engine.load(tmp_path / "model", lambda name: getattr(calls, name))


def test_an_asset_is_read_once(tmp_path: Path, calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    one(3).save(tmp_path / "assets" / "three")
    read: list[Path] = []
    load = Dataset.load
    monkeypatch.setattr(Dataset, "load", lambda folder: read.append(folder) or load(folder))
    nodes = [node(name, "add", left="given") for name in ("a", "b")]
    for written in nodes:
        written["inputs"]["right"] = {"asset": "three"}
    nodes[1]["inputs"]["left"] = source("a.dataset")
    graph = {"nodes": nodes, "inputs": {"given": {}}, "outputs": {"out": source("b.dataset")}}
    engine = Engine(graph, tmp_path, lambda name: getattr(calls, name))
    assert [result(engine.run({"given": one(value)})) for value in (1, 2)] == [7, 8]
    assert len(read) == 1
