"""``import designer``: what cells use of it is there, and nothing slow is loaded before it is used."""

# No postponed annotations: azure-ai-ml reads those of pipeline functions.
import subprocess
import sys
from pathlib import Path

import pytest
from azure.ai.ml import Input
from azure.ai.ml.dsl import pipeline

import designer

OWN = """
type: command
name: double
display_name: Double
version: 1
tags: {category: Mine, module: doubling.double, port.dataset: DataFrameDirectory, port.doubled: DataFrameDirectory}
inputs: {dataset: {type: uri_folder}}
outputs: {doubled: {type: uri_folder}}
environment: azureml:sklearn@latest
command: python double.py
"""


def test_importing_it_loads_nothing_slow() -> None:
    slow = ("azure", "pandas", "sklearn", "torch", "IPython", "yaml")
    program = f"import designer, sys; print([name for name in {slow} if name in sys.modules])"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"


def test_all_that_it_offers_is_there() -> None:
    assert [name for name in designer.__all__ if not hasattr(designer, name)] == []
    assert {*designer.__all__} <= {*dir(designer)}
    with pytest.raises(AttributeError, match="module 'designer' has no attribute 'nothing'"):
        _ = designer.nothing


def test_components_are_loaded_by_their_names(tmp_path: Path) -> None:
    (tmp_path / "double.yml").write_text(OWN)
    components = designer.load_components(tmp_path)
    assert components.double.name == "double"
    assert components.score_model is components.score_model
    assert "score_model" in dir(components)
    assert {"double", "score_model"} <= {*components}
    with pytest.raises(AttributeError, match=r"There is no component 'scor_model'\. Is 'score_model' meant\?"):
        _ = components.scor_model


def test_components_are_listed_by_category() -> None:
    lines = repr(designer.load_components()).splitlines()
    assert "Web Service: web_service_input, web_service_output" in lines
    assert [line.partition(":")[0] for line in lines] == sorted(line.partition(":")[0] for line in lines)


def test_components_make_a_pipeline(tmp_path: Path) -> None:
    (tmp_path / "double.yml").write_text(OWN)
    components = designer.load_components(tmp_path)

    @pipeline
    def doubled(rows: Input(type="uri_folder")) -> None:  # type: ignore[valid-type]
        read = components.import_data(data=rows)
        components.double(dataset=read.outputs.dataset)

    graph = designer.read_graph(doubled(rows=Input(type="uri_folder", path="azureml:rows:1")))
    assert [node.component.display_name for node in graph.nodes.values()] == ["Import Data", "Double"]
    assert graph.nodes["double"].component == designer.Library(tmp_path)["double"]


def test_a_component_that_is_not_there_cannot_be_registered() -> None:
    with pytest.raises(designer.GraphError, match="There is no component 'score'; there are: "):
        designer.register_components(None, names=["score"])  # type: ignore[arg-type]
