"""Graphs and pipeline jobs are one and the same, written in two ways: what azure-ai-ml makes of either is compared."""

from __future__ import annotations

import pytest
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
