"""The static picture of the Designer's graph: what is in it, where, and what it says to those who do not see it.

What has to be in it comes from the graph itself, and from the Designer: a component shows its display name, its input
ports on its upper edge and its output ports on its lower one.
"""

from __future__ import annotations

import base64
import html
import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Mapping
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from IPython.core.formatters import DisplayFormatter

from designer import Changes, compare, show
from designer.graph import FromInput, FromNode, Graph, GraphInput
from designer.rewriting import realtime_inference
from designer.view.boxes import boxes
from designer.view.looks import CHANGES, STATES
from designer.view.picture import Picture
from designer.view.scene import scene
from designer_graphs import EVALUATE, LOGISTIC, SCORE_MODEL, component, data, late_flights, node

SVG = "{http://www.w3.org/2000/svg}"
Box = tuple[float, float, float, float]  # left, top, right, bottom
ANY_COMPONENT = component("Anything", "Custom", "a:data b?:model c:data", "x:data long_name_of_an_output:data")


def _picture(graph: Graph, statuses: Mapping[str, str] | None = None) -> Picture:
    return Picture(scene(graph), statuses or {})


def drawn(picture: Picture) -> ET.Element:
    return ET.fromstring(picture.svg)


def texts(svg: ET.Element) -> list[str]:
    return [text.text or "" for text in svg.iter(f"{SVG}text")]


def rectangles(svg: ET.Element) -> list[Box]:
    found = []
    for one in svg.iter(f"{SVG}rect"):
        if one.get("class") == "box":
            x, y, width, height = (float(one.get(side, 0)) for side in ("x", "y", "width", "height"))
            found.append((x, y, x + width, y + height))
    return found


def ports(svg: ET.Element) -> list[tuple[float, float]]:
    return [(float(one.get("cx", 0)), float(one.get("cy", 0))) for one in svg.iter(f"{SVG}circle")]


def points(path: str) -> list[tuple[float, float]]:
    """Points along a path of M, C and V, which are all that edges are made of."""
    at, found = (0.0, 0.0), []
    for command, written in re.findall(r"([MCV])([^MCV]*)", path):
        numbers = [float(number) for number in written.split()]
        if command == "M":
            at = (numbers[0], numbers[1])
            found.append(at)
            continue
        if command == "V":
            numbers = [at[0], at[1], at[0], numbers[0], at[0], numbers[0]]
        curve = [at, (numbers[0], numbers[1]), (numbers[2], numbers[3]), (numbers[4], numbers[5])]
        for step in range(1, 13):
            t = step / 12
            parts = ((1 - t) ** 3, 3 * (1 - t) ** 2 * t, 3 * (1 - t) * t**2, t**3)
            x, y = (sum(part * point[axis] for part, point in zip(parts, curve, strict=True)) for axis in (0, 1))
            found.append((x, y))
        at = curve[-1]
    return found


def paths(svg: ET.Element) -> list[list[tuple[float, float]]]:
    return [points(one.get("d", "")) for one in svg.iter(f"{SVG}path") if one.get("class") == "edge"]


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Graphs of up to 15 components without cycles; every port gets something, or nothing."""
    count = draw(st.integers(0, 15))
    names = [f"n{number}" for number in range(count)]
    inputs = {f"i{number}": data(draw(st.sampled_from((None, "azureml:d:1")))) for number in range(3)}
    nodes = {}
    for number, name in enumerate(names):
        outputs = [FromNode(one, port) for one in names[:number] for port in ANY_COMPONENT.outputs]
        anything = st.sampled_from([None, *map(FromInput, inputs), *outputs])
        bound = {port: draw(anything) for port in ANY_COMPONENT.inputs}
        nodes[name] = node(ANY_COMPONENT, **{port: one for port, one in bound.items() if one})
    results = draw(st.lists(st.sampled_from(names), max_size=2, unique=True)) if names else []
    return Graph("random", nodes, inputs, {f"o{name}": FromNode(name, "x") for name in results})


@given(graphs())
def test_boxes_lie_apart_within_the_picture_and_no_edge_crosses_one(graph: Graph) -> None:
    svg = drawn(_picture(graph))
    found = rectangles(svg)
    assert len(found) == len(boxes(graph))
    width, height = float(svg.get("width", 0)), float(svg.get("height", 0))
    assert all(left >= 0 and top >= 0 and right <= width and bottom <= height for left, top, right, bottom in found)
    for one, other in combinations(found, 2):
        assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
    for path in paths(svg):
        for x, y in path:
            assert not any(left < x < right and top < y < bottom for left, top, right, bottom in found)


@given(graphs())
def test_edges_lead_downwards_from_port_to_port(graph: Graph) -> None:
    svg = drawn(_picture(graph))
    there = ports(svg)
    bound = sum(
        isinstance(one, FromInput | FromNode) for node in graph.nodes.values() for one in node.bindings.values()
    )
    assert len(paths(svg)) == bound + len(graph.outputs)
    for path in paths(svg):
        (x, y), (to_x, to_y) = path[0], path[-1]
        assert y < to_y
        assert (round(x, 1), round(y, 1)) in there
        assert any(abs(to_x - port_x) < 0.11 and 0 < port_y - to_y < 8 for port_x, port_y in there)  # room for the tip


@given(graphs())
def test_the_same_graph_is_drawn_the_same(graph: Graph) -> None:
    again = Graph(graph.name, dict(graph.nodes), dict(graph.inputs), dict(graph.outputs))
    assert _picture(graph).svg == _picture(again).svg


def test_every_port_has_its_name_on_its_edge_of_the_box() -> None:
    graph = late_flights()
    svg = drawn(_picture(graph))
    named = [text.text for text in svg.iter(f"{SVG}text") if text.get("font-size") == "10"]
    components = [one.component for one in graph.nodes.values()]
    assert Counter(named) == Counter(port for one in components for port in (*one.inputs, *one.outputs))
    assert {one.display_name for one in components} <= set(texts(svg))
    edges_of_boxes = {y for _, top, _, bottom in rectangles(svg) for y in (top, bottom)}
    assert {y for _, y in ports(svg)} <= edges_of_boxes
    assert len(ports(svg)) == sum(len(box.inputs) + len(box.outputs) for box in boxes(graph).values())


def test_names_of_ports_have_room_side_by_side() -> None:
    """By the width that the widest of the usual fonts, DejaVu Sans, gives a letter of that size: 0.62 of it."""
    svg = drawn(_picture(late_flights()))
    rows: dict[float, list[tuple[float, float]]] = {}
    for text in svg.iter(f"{SVG}text"):
        if text.get("font-size") == "10":
            middle, half = float(text.get("x", 0)), len(text.text or "") * 6.2 / 2
            rows.setdefault(float(text.get("y", 0)), []).append((middle - half, middle + half))
    for row in rows.values():
        for one, other in combinations(sorted(row), 2):
            assert one[1] < other[0]


def test_a_graph_of_fifteen_components_fits_a_page() -> None:
    """As wide as a cell of JupyterLab on a laptop's screen, so that nothing has to be made smaller."""
    svg = drawn(_picture(late_flights()))
    assert len(late_flights().nodes) == 15
    assert float(svg.get("width", 0)) <= 1100


def test_optional_ports_are_rings() -> None:
    svg = drawn(_picture(Graph("one", {"evaluate": node(EVALUATE)})))
    fills = [circle.get("fill") for circle in svg.iter(f"{SVG}circle")]
    assert fills.count("#ffffff") == 1 and len(fills) == 3


@pytest.mark.parametrize("status", [*filter(None, STATES), "Preparing"])
def test_a_state_is_said_by_a_mark_and_by_a_word(status: str) -> None:
    said = texts(drawn(_picture(Graph("one", {"score": node(SCORE_MODEL)}), {"score": status})))
    (line,) = [one for one in said if status in one]
    assert line.endswith(f" {status}") and len(line) > len(status) + 1
    marks = [STATES[one][0] for one in STATES]
    assert len(set(marks)) == len(marks)


@pytest.fixture(scope="module")
def changes() -> Changes:
    """From training to real-time inference, by the rewrite."""
    training = late_flights()
    return compare(training, realtime_inference(training, scorer="score"))


def _marks(picture: Picture) -> dict[str, list[str]]:
    """The keys of boxes, by what has become of them."""
    found: dict[str, list[str]] = {}
    for key, change in picture.scene.changes.items():
        found.setdefault(change, []).append(key)
    return found


def test_each_side_of_a_comparison_is_marked(changes: Changes) -> None:
    training, inference = (show(one, changes=changes) for one in (changes.before, changes.after))
    before, after = _marks(training), _marks(inference)
    assert {f"step {name}" for name in changes.removed} <= {*before["removed"]}
    assert {f"step {name}" for name in changes.replaced} == {*before["replaced"]}
    assert {"step web_service_input", "step web_service_output", "output answer"} == {*after["added"]}
    assert "step clean" in after["replaced"] and "input train_trained_model" in after["replaced"]
    assert "added" not in before and "removed" not in after
    assert "train: Train Model (replaced) gets" in training.alt


def test_what_came_into_a_box_that_is_gone_is_seen_though_its_source_has_other_ports_now() -> None:
    training = late_flights().remove("normalize")
    inference = realtime_inference(training, scorer="score").remove("split")
    picture = show(compare(training, inference))
    assert "indicators: Apply Transformation (replaced)" in picture.alt
    assert "split: Split Data (removed) gets transformed_dataset of indicators as dataset." in picture.alt


def test_one_graph_lies_over_the_other(changes: Changes) -> None:
    picture = show(changes)
    svg = drawn(picture)
    there = {*boxes(changes.before)} | {*boxes(changes.after)}
    assert {*picture.scene.boxes} == there and len(rectangles(svg)) == len(there)
    marks = _marks(picture)
    assert {"step train", "step evaluate", "output evaluation"} <= {*marks["removed"]}
    said = texts(svg)
    assert {"- removed", "⇄ replaced", "+ added"} <= set(said) and "= kept" not in said
    assert [f"{CHANGES[one].mark} {one}: {CHANGES[one].means}" in said for one in CHANGES] == [True] * 4
    dashed = [one for one in svg.iter(f"{SVG}path") if one.get("class") == "edge" and one.get("stroke-dasharray")]
    assert len(dashed) == list(picture.scene.changed_edges.values()).count("removed")
    # What reaches a box that stays is told as it is now.
    assert "score: Score Model (kept) gets train_trained_model as trained_model and" in picture.alt


def test_graphs_stand_side_by_side(changes: Changes) -> None:
    shown, _ = DisplayFormatter().format(show(changes, side_by_side=True))
    assert shown["text/html"].count("<img ") == 2
    assert f"<b>{changes.before.name}</b>" in shown["text/html"]
    assert "web_service_output: Web Service Output (added)" in shown["text/plain"]


def test_the_legend_names_the_categories_that_are_there() -> None:
    graph = Graph("mine", {"a": node(component("My own", "Of mine", "", "x:data")), "b": node(LOGISTIC)})
    said = texts(drawn(_picture(graph)))
    assert said[-2:] == ["Classification", "Of mine"]


def test_it_says_in_words_what_it_shows() -> None:
    picture = show(late_flights(), {"score": "Running"})
    lines = picture.alt.splitlines()
    assert lines[:5] == [
        "The pipeline late flights, as a graph.",
        "Its parameter cleaning is remove_row.",
        "The input flights is a dataset.",
        "The input weather is a dataset.",
        "flight_columns: Select Columns in Dataset gets flights as dataset.",
    ]
    assert "The input planes is a dataset: the caller says which." in lines
    assert (
        "score: Score Model (Running) gets trained_model of train as trained_model "
        "and results_dataset2 of split as dataset." in lines
    )
    assert lines[-1] == "The output evaluation is evaluation_results of evaluate."
    shown, _ = DisplayFormatter().format(picture)
    assert shown["text/plain"] == picture.alt
    image = re.search(r'<img src="data:image/svg\+xml;base64,(.+?)" alt="(.+?)">', shown["text/html"], re.DOTALL)
    assert image and html.unescape(image[2]) == picture.alt
    assert ET.fromstring(base64.b64decode(image[1])).findtext(f"{SVG}title") == picture.alt
    assert "cleaning_mode = cleaning of the pipeline = remove_row" in shown["text/html"]


def test_a_step_is_told_after_those_it_needs() -> None:
    order = [line.partition(":")[0] for line in _picture(late_flights()).alt.splitlines()]
    graph = late_flights()
    for name, one in graph.nodes.items():
        for bound in one.bindings.values():
            assert not isinstance(bound, FromNode) or order.index(bound.node) < order.index(name)


def test_names_do_not_become_markup() -> None:
    nasty = component("<b>&\"bold'", "<i>", "", "x:data")
    svg = _picture(Graph("<script>", {"<a>": node(nasty)}, {"<in>": data("<path>")})).svg
    assert "<script>" not in svg and "<b>" not in svg
    assert "<b>&\"bold'" in texts(ET.fromstring(svg))


def test_graphs_that_are_not_right_are_drawn_too() -> None:
    """A cycle, a node that is not there, a port that is not there: people look at what they are to mend."""
    graph = Graph(
        "wrong",
        {
            "a": node(ANY_COMPONENT, a=FromNode("b", "x"), b=FromNode("nobody", "x"), unknown=FromInput("i")),
            "b": node(ANY_COMPONENT, a=FromNode("a", "no_such_port"), c=FromInput("nothing")),
        },
        {"i": data("azureml:d:1")},
        {"o": FromNode("nobody", "x")},
    )
    assert len(paths(drawn(_picture(graph)))) == 3
    drawn(_picture(Graph("empty", {})))
    assert _picture(Graph("empty", {})).alt == "The pipeline empty, as a graph."


def test_a_picture_names_no_asset_and_no_path() -> None:
    """A stored notebook would name what is somebody's: an asset with a suffix, a machine, a subscription."""
    paths = ("/home/someone/flights", "/subscriptions/s/resourceGroups/g/workspaces/w/data/flights/versions/2")
    picture = _picture(Graph("one", {}, {f"input{number}": data(path) for number, path in enumerate(paths)}))
    assert "someone" not in picture.html + picture.svg and "subscriptions" not in picture.html + picture.svg
    assert "flights" not in picture.html + picture.svg
    assert "The input input0 is a dataset." in picture.alt


def test_a_literal_is_a_parameter_not_a_box() -> None:
    graph = Graph("one", {"score": node(SCORE_MODEL)}, {"days": GraphInput("integer", default=14)})
    assert list(boxes(graph)) == ["step score"]
    assert "Its parameter days is 14." in _picture(graph).alt
