"""Inference graphs, as the Designer makes them.

Truth: https://learn.microsoft.com/azure/machine-learning/tutorial-designer-automobile-price-deploy and
how-to-run-batch-predictions-designer.
"""

from __future__ import annotations

from small_components import COMPONENTS, training

import designer
from designer.graph import FromInput, FromNode
from designer.rewriting import batch_inference, realtime_inference, saved_ports


def test_realtime_inference_of_the_usual_graph() -> None:
    graph = realtime_inference(training(), library=COMPONENTS)
    assert {name: node.component.display_name for name, node in graph.nodes.items()} == {
        "web_service_input": "Web Service Input",
        "select": "Select Columns in Dataset",
        "clean": "Apply Transformation",
        "apply": "Apply Transformation",
        "score": "Score Model",
        "web_service_output": "Web Service Output",
    }
    assert graph.nodes["select"].bindings["dataset"] == FromNode("web_service_input", "results_dataset")
    assert graph.nodes["apply"].bindings["dataset"] == FromNode("clean", "transformed_dataset")
    assert graph.nodes["web_service_input"].bindings["label_column"] == "late"
    assert saved_ports(training(), graph) == {
        "train_trained_model": FromNode("train", "trained_model"),
        "normalize_transformation_function": FromNode("normalize", "transformation_function"),
        "clean_cleaning_transformation": FromNode("clean", "cleaning_transformation"),
        "import_flights_dataset": FromNode("import_flights", "dataset"),
    }


def test_batch_inference_of_the_usual_graph() -> None:
    graph = batch_inference(training(), library=COMPONENTS)
    assert list(graph.nodes) == ["import_flights", "select", "clean", "apply", "score"]
    assert graph.nodes["import_flights"].bindings["data"] == FromInput("flights")
    assert graph.outputs == {"scored_dataset": FromNode("score", "scored_dataset")}
    assert designer.problems(graph, data_may_be_missing=True) == []
