"""Which of the two pictures of a graph is shown, what each front end gets of it, and how a run is watched without one.

Truth: the kernels that Jupyter Server and nbclient start, and IPython's own formatter, which makes what is stored.
"""

from __future__ import annotations

import ast
import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
from IPython.core.formatters import DisplayFormatter
from nbclient import NotebookClient

import designer
from designer.errors import GraphError
from designer.view import bundle, showing, watching
from designer.view.boxes import Port, boxes
from designer.view.picture import Picture
from designer.view.scene import scene
from designer.view.snippets import reading
from designer_graphs import late_flights
from helpers import pipelines, waiting

GRAPH = late_flights()
WIDGET = "application/vnd.jupyter.widget-view+json"


@pytest.fixture
def in_jupyter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(showing.SESSION, "notebook.ipynb")


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(showing.SESSION, raising=False)


def test_a_kernel_that_no_jupyter_server_started_gets_a_picture(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """papermill and nbval start theirs as nbclient does; what they store holds no widget."""
    monkeypatch.delenv(showing.SESSION, raising=False)
    notebook = nbformat.v4.new_notebook(
        cells=[
            nbformat.v4.new_code_cell(
                "import designer\nfrom designer_graphs import late_flights\ndesigner.show(late_flights())"
            )
        ]
    )
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]), prepend=":")
    NotebookClient(notebook, resources={"metadata": {"path": str(tmp_path)}}).execute()
    (output,) = [one for one in notebook.cells[0].outputs if one.output_type == "execute_result"]
    assert sorted(output.data) == ["text/html", "text/plain"]
    assert "widgets" not in notebook.metadata


def test_in_jupyter_it_can_be_moved_about_in_and_elsewhere_the_same_is_a_picture(in_jupyter: None) -> None:
    view = designer.show(GRAPH, {"clean": "Running"})
    shown, _ = DisplayFormatter().format(view)
    picture, _ = DisplayFormatter().format(Picture(scene(GRAPH), {"clean": "Running"}))
    assert WIDGET in shown
    assert {kind: shown[kind] for kind in picture} == picture


@pytest.mark.parametrize("wanted", [True, False])
def test_it_can_be_asked_for(wanted: bool, alone: None) -> None:
    assert isinstance(designer.show(GRAPH, interactive=wanted), Picture) is not wanted


def test_where_it_was_not_built_there_is_the_picture_and_what_to_do(
    in_jupyter: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bundle, "MADE_OF", tmp_path / "made-of")
    assert isinstance(designer.show(GRAPH), Picture)
    assert "python -m designer.view.bundle" in capsys.readouterr().out
    bundle.MADE_OF.write_text("of other sources")
    assert isinstance(designer.show(GRAPH), Picture)


def test_a_pipeline_that_was_not_sent_is_shown_too(alone: None) -> None:
    from azure.ai.ml import dsl

    components = designer.load_components()

    @dsl.pipeline(display_name="one row")
    def one_row() -> None:
        entered = components.enter_data_manually(data="a,b\n1,2")
        components.select_columns_in_dataset(dataset=entered.outputs.dataset, select_columns="a")

    picture = designer.show(one_row())
    assert "entered: Enter Data Manually gets nothing." in picture.alt
    assert "Select Columns in Dataset gets dataset of entered as dataset." in picture.alt


def test_what_is_no_pipeline_is_refused(alone: None) -> None:
    client: Any = SimpleNamespace(jobs=SimpleNamespace(get=lambda name: SimpleNamespace(name=name, type="command")))
    with pytest.raises(GraphError, match="command"):
        designer.show("a_job", ml_client=client)


def test_javascript_gets_every_box_port_and_parameter(in_jupyter: None) -> None:
    view = designer.show(GRAPH, {"clean": "Completed"})
    sent = json.loads(json.dumps(view.graph))
    there = boxes(GRAPH)
    assert [box["key"] for box in sent["boxes"]] == [*scene(GRAPH).placed.boxes]
    for box in sent["boxes"]:
        assert [port["name"] for port in box["outputs"]] == [port.name for port in there[box["key"]].outputs]
        assert [one["name"] for one in box["settings"]] == [one.name for one in there[box["key"]].settings]
        assert all(0 <= port["x"] <= box["width"] for port in (*box["inputs"], *box["outputs"]))
        assert all(port["reads"] == "" for port in box["outputs"])  # of a graph that is no job, nothing can be read
    assert view.statuses["looks"] == {"Completed": {"mark": "✓ ", "colour": "#b5dcf5"}}


@pytest.mark.parametrize(
    "carries", ["dataset", "trained model", "untrained model", "transformation", "image directory"]
)
def test_the_code_that_reads_an_output_is_python(carries: str) -> None:
    code = reading("it's", "score", Port("scored_dataset", carries))
    ast.parse(code)
    assert "helpers.download_output(ml_client, step, 'scored_dataset')" in code


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is displayed; waiting takes no time, and the job's graph is ours."""
    displayed: list[Any] = []
    monkeypatch.setattr(waiting, "SHORTEST_PAUSE", 0.001)
    monkeypatch.setattr(pipelines, "REDRAW_SECONDS", 0.0)
    monkeypatch.setattr(watching, "display", displayed.append)
    monkeypatch.setattr(watching, "graph_of_job", lambda client, job: GRAPH)
    return displayed


def test_a_run_is_watched_in_a_line_where_there_is_no_front_end(
    alone: None, shown: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert designer.watch(_client(), "parent", "train", on_azure="10 minutes") == "Failed"
    said = capsys.readouterr()
    assert said.out == "✗ train: Failed (on Azure: 10 minutes)\n"
    assert "✓ clean" in said.err
    (picture,) = shown
    assert picture.statuses["clean"] == "Completed" and picture.statuses["split"] == "Failed"
    assert picture.statuses["evaluate"] == "Not started"


def test_a_run_is_watched_in_the_view(in_jupyter: None, shown: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert designer.watch(_client(), "parent", "train") == "Failed"
    (view,) = shown
    assert view.statuses["run"] == "Failed" and view.statuses["headline"].startswith("train: Failed, ")
    assert view.statuses["steps"]["split"] == "Failed"
    (score,) = (box for box in view.graph["boxes"] if box["key"] == "step score")
    assert "helpers.steps(ml_client, 'parent')['score']" in score["outputs"][0]["reads"]
    assert capsys.readouterr().out == "✗ train: Failed\n"


def _client() -> Any:
    """A client of a pipeline that runs, then fails in its second step."""
    statuses = iter(("Running", "Failed"))
    lists = iter(([("clean", "Running")], [("clean", "Completed"), ("split", "Failed")]))

    def children(parent_job_name: str) -> list[Any]:
        assert parent_job_name == "parent"
        return [
            SimpleNamespace(name=f"id-{one}", display_name=one, status=status, properties={})
            for one, status in next(lists)
        ]

    jobs = SimpleNamespace(get=lambda name: SimpleNamespace(name=name, status=next(statuses)), list=children)
    return SimpleNamespace(jobs=jobs)
