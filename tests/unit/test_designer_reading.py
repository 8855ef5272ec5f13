"""Graphs and pipeline jobs are one and the same, written in two ways: what azure-ai-ml makes of either is compared."""

from __future__ import annotations

import pytest
from azure.ai.ml import Input, dsl
from small_components import COMPONENTS, training

import designer


def test_a_graph_comes_back_from_its_yaml() -> None:
    assert designer.read_graph(designer.to_yaml(training())) == training()


def test_a_graph_comes_back_from_its_job() -> None:
    assert designer.read_graph(designer.pipeline_job(training())) == training()


def test_the_job_of_a_graph_that_cannot_run_names_why() -> None:
    graph = training().remove("learner")
    with pytest.raises(designer.GraphError, match=r"train\.untrained_model: The port is not connected"):
        designer.pipeline_job(graph)


def test_components_keep_their_names() -> None:
    job = designer.pipeline_job(training())
    assert job.jobs["split"].component.name == COMPONENTS["split_data"].name == "split_data"


def test_booleans_of_a_pipeline_function_come_back_as_such() -> None:
    """azure-ai-ml dumps a step's True as 1."""
    components = designer.load_components()

    @dsl.pipeline  # its argument has no annotation: it would be read as a type of input
    def cleaned(data):  # type: ignore[no-untyped-def]
        components.clean_missing_data(dataset=data, generate_missing_value_indicator_column=True)

    graph = designer.read_graph(cleaned(Input(type="uri_folder", path="azureml:flights:1")))
    assert graph.nodes["clean_missing_data"].bindings["generate_missing_value_indicator_column"] is True
    assert not designer.problems(graph)
