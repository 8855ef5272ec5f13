"""What the lessons show of pipelines: from pipelines as azure-ai-ml makes them, and children as it lists them."""

from __future__ import annotations

import base64
import html
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure.ai.ml import Input, dsl, load_component
from IPython.core.formatters import DisplayFormatter

import helpers
from helpers import pipelines, waiting
from helpers.pipeline_graph import Edge, Graph, PipelinePicture, graph_of

FOLDER = Path(__file__).parents[2] / "notebooks" / "03_batch" / "late_flights"
SVG = "{http://www.w3.org/2000/svg}"
PLAN = Input(type="uri_file", path="azureml:plan:1")
MODEL = Input(type="custom_model", path="azureml:model:1")


@pytest.fixture(scope="module")
def component() -> Any:
    return load_component(FOLDER / "pipeline.yml")


@pytest.fixture
def job(component: Any) -> Any:
    @dsl.pipeline(display_name="late flights")
    def late(plan, model, days=14):  # type: ignore[no-untyped-def] # an annotation would be read as a type of input
        prepare = load_component(FOLDER / "prepare" / "component.yml")
        prepared = prepare(plan=plan, first_day="2013-07-01", days=days)
        scored = load_component(FOLDER / "score" / "component.yml")(flights=prepared.outputs.flights, model=model)
        collect = load_component(FOLDER / "collect" / "component.yml")
        collected = collect(flights=prepared.outputs.flights, scores=scored.outputs.scores)
        return {"report": collected.outputs.report}

    made = late(plan=PLAN, model=MODEL)
    made.name = "parent"
    return made


def _child(name: str, status: str, **properties: str) -> Any:
    return SimpleNamespace(name=f"id-{name}", display_name=name, status=status, properties=properties)


def _client(job: Any, *lists: list[Any], statuses: tuple[str, ...] = ()) -> Any:
    """A client whose lists of children and whose parent's statuses come one after the other."""
    children, stands = iter(lists), iter(statuses)

    def get(name: str) -> Any:
        return job if not statuses else SimpleNamespace(dump=job.dump, name=name, status=next(stands))

    return SimpleNamespace(jobs=SimpleNamespace(get=get, list=lambda parent_job_name: next(children)))


def test_the_graph_of_a_job_and_of_a_component_say_the_same(job: Any, component: Any) -> None:
    sent, published = graph_of(job), graph_of(component)
    assert sent.steps == ["prepared", "scored", "collected"]
    assert published.steps == ["prepare", "score", "collect"]
    assert sent.kinds == {"prepared": "command", "scored": "parallel", "collected": "command"}
    assert Edge("step prepared", "flights", "step scored") in sent.edges
    assert Edge("step collected", "report", "output report") in sent.edges
    assert sent.labels["input days"] == published.labels["input days"] == "days = 14"
    assert sent.labels["input plan"] == "plan"
    # Data that a step itself names is an input in the picture, too.
    assert sent.labels["input model"] == published.labels["input score.model"] == "model"


def test_a_nested_pipeline_is_one_step(component: Any) -> None:
    @dsl.pipeline
    def outer(plan):  # type: ignore[no-untyped-def]
        inner = component(plan=plan, first_day="2013-07-01")
        return {"report": inner.outputs.report}

    graph = graph_of(outer(plan=PLAN))
    assert graph.kinds == {"inner": "pipeline"}
    assert graph.edges == (Edge("input plan", "", "step inner"), Edge("step inner", "report", "output report"))


def test_the_picture_says_in_words_what_it_shows(job: Any) -> None:
    picture = PipelinePicture(graph_of(job), {"scored": "Running"})
    assert picture.alt.splitlines() == [
        "The pipeline late flights, as a graph.",
        "prepared gets days = 14 and plan.",
        "scored (Running) gets flights of prepared and model.",
        "collected gets flights of prepared and scores of scored.",
        "The output report is report of collected.",
    ]
    shown, _ = DisplayFormatter().format(picture)
    assert shown["text/plain"] == picture.alt
    image = re.search(r'<img src="data:image/svg\+xml;base64,(.+?)" alt="(.+?)">', shown["text/html"], re.DOTALL)
    assert image and html.unescape(image[2]) == picture.alt
    drawn = ET.fromstring(base64.b64decode(image[1]))
    assert drawn.findtext(f"{SVG}title") == picture.alt
    assert "▶ Running" in [text.text for text in drawn.iter(f"{SVG}text")]


def test_boxes_do_not_overlap_and_lie_within_the_picture(job: Any) -> None:
    drawn = ET.fromstring(PipelinePicture(graph_of(job)).svg)
    width, height = float(drawn.get("width", 0)), float(drawn.get("height", 0))
    boxes = [
        [float(box.get(side, 0)) for side in ("x", "y", "width", "height")]
        for box in drawn.iter(f"{SVG}rect")
        if box.get("x")
    ]
    assert len(boxes) == 7
    for number, (x, y, wide, high) in enumerate(boxes):
        assert x >= 0 and y >= 0 and x + wide <= width and y + high <= height
        for x2, y2, wide2, high2 in boxes[number + 1 :]:
            assert x + wide <= x2 or x2 + wide2 <= x or y + high <= y2 or y2 + high2 <= y


def test_an_outputs_name_stands_beside_its_arrows() -> None:
    """On the left of one whose only arrow leads to the right, where that arrow would run through the name."""
    edges = (*(Edge(f"step {source}", source, "step c") for source in "ab"), Edge("step c", "report", "output report"))
    labels = {f"step {name}": name for name in "abc"} | {"output report": "report"}
    svg = PipelinePicture(Graph("beside", labels, dict.fromkeys("abc", "command"), edges)).svg
    names = {text.text: text.get("text-anchor") for text in ET.fromstring(svg).iter(f"{SVG}text")}
    assert (names["a"], names["b"]) == ("end", "start")


def test_names_do_not_become_markup_and_a_cycle_is_drawn_too() -> None:
    edges = (Edge("step a", "out", "step b"), Edge("step b", "<out>", "step a"))
    svg = PipelinePicture(Graph("<script>", {"step a": "a", "step b": "<b>"}, {"a": "command", "b": "x"}, edges)).svg
    assert "<script>" not in svg and "<b>" not in svg
    ET.fromstring(svg)
    ET.fromstring(PipelinePicture(Graph("empty", {}, {}, ())).svg)


def test_statuses_are_those_of_the_children_and_of_steps_that_wait(job: Any) -> None:
    children = [_child("prepared", "Completed", **{"azureml.isreused": "true"}), _child("scored", "Running")]
    assert pipelines.step_statuses(_client(job, children), job) == {
        "prepared": "Reused",
        "scored": "Running",
        "collected": "Not started",
    }
    assert helpers.draw_pipeline(job, _client(job, children)).statuses["collected"] == "Not started"
    assert helpers.draw_pipeline(job).statuses == {}
    assert list(helpers.steps(_client(job, children), "parent")) == ["prepared", "scored"]


def test_a_pipeline_is_watched_to_its_end(
    job: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(waiting, "SHORTEST_PAUSE", 0.001)
    monkeypatch.setattr(pipelines, "display", lambda table: shown.append(str(_plain(table))))
    monkeypatch.setattr(pipelines, "REDRAW_SECONDS", 0.0)
    lists = [[], [_child("prepared", "Running")]]
    client = _client(job, *lists, statuses=("Running", "Running", "Failed"))
    assert pipelines.watch_pipeline(client, job, "score", on_azure="5 minutes") == "Failed"
    assert capsys.readouterr().out == "✗ score: Failed (on Azure: 5 minutes)\n"
    assert shown == ["score: Failed\nprepared: ▶ Running\nscored: ○ Not started\ncollected: ○ Not started"]


def _plain(table: Any) -> str:
    return str(table._repr_mimebundle_()["text/plain"])


def test_the_table_shows_marks() -> None:
    table = pipelines._Table("score: Failed", {"a<": "Failed", "b": "Queued", "c": "Not started"})
    assert _plain(table) == "score: Failed\na<: ✗ Failed\nb: ▶ Queued\nc: ○ Not started"
    shown = table._repr_mimebundle_()["text/html"]
    assert "a&lt;" in shown and "a<" not in shown


def test_outputs_and_logs_that_are_not_there_are_named(tmp_path: Path) -> None:
    def download(name: str, download_path: Path, output_name: str | None = None) -> None:
        if name != "good":
            return
        file = Path(download_path) / (f"named-outputs/{output_name}/a.csv" if output_name else "user_logs/std_log.txt")
        file.parent.mkdir(parents=True)
        file.write_text("all is well")

    client: Any = SimpleNamespace(jobs=SimpleNamespace(download=download))
    assert (helpers.download_output(client, "good", "report", tmp_path / "here") / "a.csv").is_file()
    assert helpers.job_log(client, "good") == "all is well"
    with pytest.raises(FileNotFoundError, match="bad has nothing in its output report"):
        helpers.download_output(client, "bad", "report")
    with pytest.raises(FileNotFoundError, match=r"bad has no std_log\.txt"):
        helpers.job_log(client, "bad")
