"""What became of a training graph, as data and as text."""

from __future__ import annotations

from small_components import COMPONENTS, training

import designer
from designer.rewriting import batch_inference, realtime_inference, saved_ports, with_paths
from designer.rewriting.saved import asset_name


def test_a_training_graph_and_its_realtime_inference_graph() -> None:
    before = training()
    after = realtime_inference(before, library=COMPONENTS)
    changes = designer.compare(before, after)
    assert (changes.before, changes.after) == (before, after)
    assert changes.kept == ("select", "apply", "score")
    assert changes.replaced == {
        "import_flights": ("import_flights_dataset",),
        "clean": ("clean", "clean_cleaning_transformation"),
        "normalize": ("normalize_transformation_function",),
        "train": ("train_trained_model",),
    }
    assert changes.removed == ("split", "learner", "evaluate")
    assert changes.added == ("web_service_input", "web_service_output")
    assert changes.reconnected == ("select", "apply", "score")


def test_it_reads_as_text() -> None:
    before = training()
    after = realtime_inference(before, library=COMPONENTS)
    saved = {name: f"azureml:{asset_name(before, port)}:1" for name, port in saved_ports(before, after).items()}
    lines = repr(designer.compare(before, with_paths(after, saved))).splitlines()
    assert lines[0] == "flights -> flights-real time inference"
    assert "  kept      select (Select Columns in Dataset), now dataset is web_service_input.results_dataset" in lines
    assert "  replaced  train (Train Model) by saved azureml:MD-flights-train-trained_model:1" in lines
    assert (
        "  replaced  clean (Clean Missing Data) by Apply Transformation and saved "
        "azureml:TD-flights-clean-cleaning_transformation:1"
    ) in lines
    assert "  removed   split (Split Data)" in lines
    assert "  added     web_service_output (Web Service Output)" in lines


def test_a_batch_inference_graph_keeps_where_data_comes_in() -> None:
    changes = designer.compare(training(), batch_inference(training(), library=COMPONENTS))
    assert changes.kept == ("import_flights", "select", "apply", "score")
    assert changes.added == ()


def test_edits_are_seen() -> None:
    before = training()
    after = before.set("split", fraction=0.2).insert("again", COMPONENTS["normalize_data"], after="apply")
    changes = designer.compare(before, after)
    assert changes.added == ("again",)
    assert changes.reconnected == ("split", "score")
    assert changes.removed == ()
    assert "  kept      split (Split Data), now fraction is 0.2" in repr(changes).splitlines()
    back = repr(designer.compare(after, before)).splitlines()
    assert "  kept      split (Split Data), with a default again" in back


def test_a_graph_and_itself() -> None:
    changes = designer.compare(training(), training())
    assert changes.kept == tuple(training().nodes)
    assert (changes.replaced, changes.removed, changes.added, changes.reconnected) == ({}, (), (), ())


def test_it_survives_being_written_and_read() -> None:
    before = training()
    after = realtime_inference(before, library=COMPONENTS)
    saved = with_paths(
        after, {name: f"azureml:{asset_name(before, one)}:1" for name, one in saved_ports(before, after).items()}
    )
    read = designer.read_graph(designer.to_yaml(saved))
    assert designer.compare(before, read).replaced == designer.compare(before, after).replaced
