"""The graph of a pipeline's steps: which can begin, which never can, and which graphs are none.

Truth: https://learn.microsoft.com/azure/machine-learning/reference-yaml-job-pipeline (continue_on_step_failure: steps
that do not depend on the failed one are still executed); steps without dependencies run at the same time.
"""

from __future__ import annotations

import pytest

from azureml_local.arm.pipelines.graph import Graph, GraphError

# a -> b -> d, a -> c -> d, and e by itself.
DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"], "e": []}


def graph(needs: dict[str, list[str]], **spares: list[str]) -> Graph:
    return Graph(needs, {name: spares.get(name, []) for name in needs})


@pytest.mark.parametrize(
    ("begun", "passed", "failed", "ready"),
    [
        ([], [], [], ["a", "e"]),
        (["a", "e"], [], [], []),
        (["a", "e"], ["a"], [], ["b", "c"]),
        (["a", "b", "c", "e"], ["a", "b"], [], []),
        (["a", "b", "c", "e"], ["a", "b", "c"], [], ["d"]),
        (["a", "b", "c", "e"], ["a", "c"], ["b"], []),
        (["a"], [], ["a"], ["e"]),
    ],
)
def test_what_can_begin(begun: list[str], passed: list[str], failed: list[str], ready: list[str]) -> None:
    assert graph(DIAMOND).ready(begun, passed, failed) == ready


def test_what_a_failure_takes_with_it() -> None:
    assert graph(DIAMOND).lost(["b"]) == {"b", "d"}
    assert graph(DIAMOND).lost(["a"]) == {"a", "b", "c", "d"}
    assert graph(DIAMOND).lost(["e"]) == {"e"}


def test_a_step_does_without_what_it_spares() -> None:
    """It waits for it, as long as it may pass; also for one that is lost because another has failed."""
    sparing = graph(DIAMOND, d=["b"])
    assert sparing.ready(
        ["a", "b", "c"],
        ["a", "c"],
        [],
    ) == ["e"]
    assert sparing.ready(["a", "b", "c", "e"], ["a", "c"], ["b"]) == ["d"]
    long = graph({"a": [], "b": ["a"], "c": ["b"]}, c=["b"])
    assert long.ready(["a"], [], ["a"]) == ["c"]


@pytest.mark.parametrize(
    ("needs", "circle"),
    [
        ({"a": ["a"]}, "a -> a"),
        ({"a": ["b"], "b": ["a"]}, "-> a -> |-> b ->"),
        ({"a": [], "b": ["a", "d"], "c": ["b"], "d": ["c"]}, "b -> c -> d|c -> d -> b|d -> b -> c"),
    ],
)
def test_steps_that_wait_for_each_other(needs: dict[str, list[str]], circle: str) -> None:
    with pytest.raises(GraphError) as refused:
        graph(needs).require_order()
    text = f"-> {str(refused.value).partition(': ')[2]} ->"
    assert any(part in text for part in circle.split("|")), text


def test_one_that_has_an_order() -> None:
    graph(DIAMOND).require_order()
