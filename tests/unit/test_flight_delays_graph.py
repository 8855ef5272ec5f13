"""The training graph of part 4: the lesson builds it in cells, the lessons after it take it from a file."""

# No postponed annotations: azure-ai-ml reads those of pipeline functions.
import sys
from pathlib import Path
from typing import Any

import nbformat
import pytest
from azure.ai.ml import Input, dsl

import designer
from designer.rewriting import realtime_inference

PART = Path(__file__).parents[2] / "notebooks" / "04_designer"
TABLES = {table: Input(type="uri_folder", path=f"azureml:{table}:1") for table in ("flights", "weather", "planes")}


@pytest.fixture(scope="module")
def graph() -> designer.Graph:
    sys.path.append(str(PART / "flight_delays"))
    from training import flight_delays

    return designer.read_graph(flight_delays(**TABLES))


def test_the_lesson_builds_the_graph_of_the_file(graph: designer.Graph) -> None:
    notebook = nbformat.read(PART / "01_build_a_training_pipeline.ipynb", as_version=4)  # type: ignore[no-untyped-call]
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    first = next(place for place, source in enumerate(sources) if "def box(" in source)
    last = next(place for place, source in enumerate(sources) if "def flight_delays(" in source)
    names: dict[str, Any] = {"components": designer.load_components(), "dsl": dsl}
    for source in sources[first : last + 1]:
        exec(source, names)  # the cells that describe the graph: they run nothing
    built = designer.read_graph(names["flight_delays"](**TABLES))
    # A seed of its own: else the learner's box, which needs no data, would be reused where another lesson ran before.
    assert built.set("linear", random_number_seed=None) == graph != built


def test_it_is_sound_and_can_be_served(graph: designer.Graph) -> None:
    assert not designer.problems(graph)
    changes = designer.compare(graph, realtime_inference(graph, inputs=["select_columns"]))
    assert {"split_data", "linear", "evaluate_model", "import_weather"} <= {*changes.removed}
    assert {"join_planes", "score_linear"} <= {*changes.kept}
