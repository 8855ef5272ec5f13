"""Where a request's rows enter a graph, and where its answer leaves.

In a pipeline both pass their dataset on, so that an inference pipeline can be run like any other; in a web service the
rows of the request take the place of the first one's dataset, and what reaches the second is the answer.
"""

from __future__ import annotations

from dataclasses import replace

from .dataset import LABEL, Dataset


def web_service_input(dataset: Dataset, name: str = "WebServiceInput0", label_column: str = "") -> Dataset:
    """Pass on the dataset whose columns and types are those of a request's rows.

    Args:
        dataset: a sample, e.g. what the pipeline was trained with.
        name: what a request calls it.
        label_column: the column that a caller need not send: the model predicts it.
    """
    return replace(dataset, roles={**dataset.roles, label_column: LABEL}) if label_column else dataset


def web_service_output(dataset: Dataset, name: str = "WebServiceOutput0") -> Dataset:
    """Pass on the dataset that is the answer to a request.

    Args:
        dataset: e.g. what Score Model made.
        name: what the answer calls it.
    """
    return dataset
