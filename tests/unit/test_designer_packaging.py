"""A graph's package: what lies in it, that it runs by itself, and that a graph that cannot be a service is refused."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import designer_rides
from designer.declarations import Library
from designer.errors import GraphError
from designer.graph import FromInput, FromNode, Graph, Node
from designer.packaging import Package, PackageError, package


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return designer_rides.data(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def made(data: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Package:
    return package(designer_rides.GRAPH, tmp_path_factory.mktemp("made") / "service", data=data)


def answer(made: Package, request: Any, *query: str) -> subprocess.CompletedProcess[str]:
    """Ask a package as the module does that is there for it: in a process that has nothing but its code."""
    return subprocess.run(
        [sys.executable, "-m", "designer_modules.serving", made.model, *query],
        input=json.dumps(request),
        env={**os.environ, "PYTHONPATH": made.code},
        cwd=made.folder,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_package_holds_the_model_and_the_code(made: Package) -> None:
    assert {path.name for path in Path(made.model).iterdir()} == {"graph.json", "assets"}
    assert [path.name for path in Path(made.model, "assets").iterdir()] == ["MD_prices"]  # the sample is no asset
    assert {"score.py", "designer_modules", "prices.py", "swagger2.json", "swagger3.json"} == {
        path.name for path in Path(made.code).iterdir()
    }
    assert not list(Path(made.code).rglob("__pycache__"))


def test_it_scores_in_a_process_that_has_nothing_else(made: Package) -> None:
    finished = answer(made, {"Inputs": {"WebServiceInput0": [{"km": 3, "kind": "limousine"}]}})
    assert json.loads(finished.stdout)["Results"] == {
        "WebServiceOutput0": [{"km": 3.0, "kind": "limousine", "Scored Labels": 13.5}]  # 3 km at 4, and 1.5
    }
    assert finished.returncode == 0


def test_what_it_refuses_ends_with_1(made: Package) -> None:
    finished = answer(made, {"Inputs": {"WebServiceInput0": [{"km": None, "kind": "taxi"}]}})
    (problem,) = json.loads(finished.stdout)["error"]["details"]
    assert (problem["component"], problem["column"], problem["row"]) == ("Score Prices", "km", 0)
    assert finished.returncode == 1


def test_its_example_is_a_row_of_the_sample_without_the_label(made: Package) -> None:
    assert made.example == {
        "Inputs": {"WebServiceInput0": [{"km": 1.0, "kind": "taxi"}]},
        "GlobalParameters": {"surcharge": 1.5},
    }
    assert json.loads(answer(made, made.example).stdout)["Results"]["WebServiceOutput0"][0]["Scored Labels"] == 3.5


def test_its_conda_file_joins_those_of_its_components(made: Package) -> None:
    (pip,) = [
        one["pip"] for one in yaml.safe_load(Path(made.conda_file).read_text())["dependencies"] if isinstance(one, dict)
    ]
    assert any(one.startswith("azureml-inference-server-http==") for one in pip)
    assert any(one.startswith("pandas==") for one in pip)


def test_a_label_that_the_graph_marks_itself_need_not_be_sent(data: dict[str, Path], tmp_path: Path) -> None:
    """As most training graphs do: the data say nothing of a label, Edit Metadata says it later."""
    replace(designer_rides.rides(), roles={}).save(tmp_path / "rides")
    mark = designer_rides.LIBRARY["edit_metadata"]
    graph = designer_rides.GRAPH.insert("mark", mark, after="enter", before="score", column="price", fields="Labels")
    made = package(graph, tmp_path / "made", data={**data, "rides": tmp_path / "rides"})
    assert json.loads(answer(made, made.example).stdout)["Results"]["WebServiceOutput0"][0]["Scored Labels"] == 3.5


def test_a_package_is_replaced_and_nothing_else(data: dict[str, Path], tmp_path: Path) -> None:
    made = package(designer_rides.GRAPH, tmp_path, data=data)
    (tmp_path / "notes.txt").touch()
    Path(made.code, "old.py").touch()
    package(designer_rides.GRAPH.renamed("again"), tmp_path, data=data)
    assert not Path(made.code, "old.py").exists()
    assert Package(tmp_path).contract["name"] == "again"
    assert {path.name for path in tmp_path.iterdir()} == {"model", "code", "conda.yml", "notes.txt"}


def test_a_package_that_fails_leaves_the_one_before(data: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    made = package(designer_rides.GRAPH, tmp_path / "made", data=data)
    with pytest.raises(PackageError):
        package(designer_rides.GRAPH, tmp_path / "made", data={**data, "MD_prices": tmp_path / "empty"})
    assert answer(made, made.example).returncode == 0
    assert {path.name for path in made.folder.iterdir()} == {"model", "code", "conda.yml"}


@pytest.mark.parametrize("name", ["model", "code", "conda.yml"])
def test_what_is_no_packages_is_not_replaced(data: dict[str, Path], tmp_path: Path, name: str) -> None:
    own = tmp_path / name / "train.py" if "." not in name else tmp_path / name
    own.parent.mkdir(exist_ok=True)
    own.write_text("mine")
    with pytest.raises(PackageError, match=f"has '{name}', which is no package's"):
        package(designer_rides.GRAPH, tmp_path, data=data)
    assert own.read_text() == "mine"


ENTERS_FROM_A_NODE = Node(designer_rides.LIBRARY["web_service_input"], {"dataset": FromNode("score", "scored_dataset")})


def without(name: str) -> Graph:
    graph = designer_rides.GRAPH
    return replace(graph, nodes={node: one for node, one in graph.nodes.items() if node != name})


@pytest.mark.parametrize(
    ("graph", "said"),
    [
        (without("enter"), "no Web Service Input"),
        (without("leave"), "no Web Service Output"),
        (
            replace(designer_rides.GRAPH, nodes={**designer_rides.GRAPH.nodes, "enter": ENTERS_FROM_A_NODE}),
            "has to be an input of the graph",
        ),
    ],
)
def test_refuses_a_graph_that_is_no_web_service(graph: Graph, said: str, data: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(GraphError, match=said):
        package(graph, tmp_path, data=data)


def test_says_which_data_it_lacks(data: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(PackageError, match="'MD_prices' is azureml:MD-prices:1: hand over ml_client"):
        package(designer_rides.GRAPH, tmp_path, data={"rides": data["rides"]})


def test_a_service_that_does_not_score_its_example_is_refused(data: dict[str, Path], tmp_path: Path) -> None:
    nodes = designer_rides.GRAPH.nodes
    swapped = replace(
        designer_rides.GRAPH,
        nodes={
            **nodes,
            "score": nodes["score"].__class__(
                nodes["score"].component, {**nodes["score"].bindings, "trained_model": FromInput("rides")}
            ),
        },
    )
    with pytest.raises(PackageError, match="does not score its own example"):
        package(swapped, tmp_path, data=data)


def from_a_job() -> Graph:
    """Return the graph as it is read from a job, whose components do not know where they came from."""
    nodes = {
        name: replace(node, component=replace(node.component, path=None))
        for name, node in designer_rides.GRAPH.nodes.items()
    }
    return replace(designer_rides.GRAPH, nodes=nodes)


def test_finds_a_learners_own_component_by_its_folder(data: dict[str, Path], tmp_path: Path) -> None:
    made = package(from_a_job(), tmp_path, data=data, folders=[designer_rides.FOLDER])
    assert Path(made.code, "prices.py").is_file()
    assert "pandas==" in Path(made.conda_file).read_text()


def test_says_which_module_of_a_learners_own_is_missing(data: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(PackageError, match=r"Score Prices: prices\.py is missing"):
        package(from_a_job(), tmp_path, data=data)


def test_one_environment_cannot_have_two_versions(data: dict[str, Path], tmp_path: Path) -> None:
    library = tmp_path / "library"
    shutil.copytree(designer_rides.FOLDER, library)
    select = designer_rides.LIBRARY["select_columns_in_dataset"]
    assert select.path
    conda = select.path.parents[1] / "environments" / "tables.yml"
    (library / "own.conda").write_text(re.sub("pandas==.*", "pandas==1.5.3", conda.read_text()))
    declared = (library / "score_prices.yml").read_text()
    (library / "score_prices.yml").write_text(re.sub("conda_file: .*", "conda_file: own.conda", declared))
    nodes = {
        **designer_rides.GRAPH.nodes,
        "score": replace(designer_rides.GRAPH.nodes["score"], component=Library(library)["score_prices"]),
        "select": Node(select, {"dataset": FromNode("enter", "results_dataset"), "select_columns": "all"}),
    }
    with pytest.raises(GraphError, match=r"One component needs pandas==1\.5\.3, another one pandas=="):
        package(replace(designer_rides.GRAPH, nodes=nodes), tmp_path / "made", data=data)


def test_says_why_an_example_is_not_scored(data: dict[str, Path], tmp_path: Path) -> None:
    """No row of this sample is complete, so that the first one is the example, whose distance is missing."""
    rides = designer_rides.rides()
    rides.with_frame(rides.frame.assign(km=float("nan"))).save(tmp_path / "rides")
    with pytest.raises(PackageError, match=r"Error 0013: The model needs the distance\. \(node 'score'") as raised:
        package(designer_rides.GRAPH, tmp_path / "made", data={**data, "rides": tmp_path / "rides"})
    assert "Traceback" not in str(raised.value)


def test_shows_the_log_of_a_service_that_does_not_start(data: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(PackageError, match=r"(?s)Traceback.*rates\.json"):
        package(designer_rides.GRAPH, tmp_path / "made", data={**data, "MD_prices": tmp_path / "model"})
