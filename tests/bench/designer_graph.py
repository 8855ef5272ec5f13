"""A training graph of the Designer: what a pipeline of its components takes over the components themselves.

The steps' own time is that of the same commands, run one after another by hand, each in a new interpreter as in a job.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import yaml
from batch_client import BatchClient
from results import Row

from designer.declarations import OUR_COMPONENTS

CLUSTER = "bench-designer"
ROUNDS = 5
ROWS = 10_000
RUNTIME = OUR_COMPONENTS.parent / "runtime"
DATA = "data"  # the graph's input

# Each step's component, what its ports are connected to (a step and its port), and its parameters.
Step = tuple[str, dict[str, tuple[str, str] | str], dict[str, str]]
STEPS: dict[str, Step] = {
    "imported": ("import_data", {"data": DATA}, {}),
    "selected": ("select_columns_in_dataset", {"dataset": ("imported", "dataset")}, {"select_columns": "-id"}),
    "cleaned": (
        "clean_missing_data",
        {"dataset": ("selected", "results_dataset")},
        {"columns_to_be_cleaned": "numeric", "cleaning_mode": "Replace with median"},
    ),
    "edited": (
        "edit_metadata",
        {"dataset": ("cleaned", "cleaned_dataset")},
        {"column": "carrier", "categorical": "Categorical"},
    ),
    "normalized": (
        "normalize_data",
        {"dataset": ("edited", "results_dataset")},
        {"columns_to_transform": "numeric,-late"},
    ),
    "parts": (
        "split_data",
        {"dataset": ("normalized", "transformed_dataset")},
        {"fraction_of_rows_in_the_first_output_dataset": "0.7"},
    ),
    "learner": ("two_class_logistic_regression", {}, {}),
    "trained": (
        "train_model",
        {"untrained_model": ("learner", "untrained_model"), "dataset": ("parts", "results_dataset1")},
        {"label_column": "late"},
    ),
    "scored": (
        "score_model",
        {"trained_model": ("trained", "trained_model"), "dataset": ("parts", "results_dataset2")},
        {},
    ),
    "evaluated": ("evaluate_model", {"scored_dataset": ("scored", "scored_dataset")}, {}),
}
SPECS: dict[str, dict[str, Any]] = {
    component: yaml.safe_load((OUR_COMPONENTS / f"{component}.yml").read_text(encoding="utf-8"))
    for component, _, _ in STEPS.values()
}


def designer_graph(client: BatchClient) -> Iterator[Row]:
    """Run the graph as a pipeline, and beside it its steps by hand."""
    client.create_cluster(CLUSTER)
    content = _rows().to_csv(index=False).encode()
    nodes = _nodes(client, client.upload({"flights.csv": content}))
    client.run_pipeline(CLUSTER, nodes)
    together, alone = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        client.run_pipeline(CLUSTER, nodes)
        together.append(time.perf_counter() - began)
        alone.append(_by_hand(content))
    name = f"a training graph of {len(STEPS)} components"
    yield Row(name, median(together), "s", "its steps by hand", median(alone))
    added = median((graph - steps) / len(STEPS) for graph, steps in zip(together, alone, strict=True))
    yield Row(f"{name}: over its steps, each", added, "s", goal="value <= 0.3")


def _rows() -> pd.DataFrame:
    random = np.random.default_rng(0)
    numbers = pd.DataFrame(random.normal(size=(ROWS, 8)), columns=[f"x{place}" for place in range(8)])
    gaps = numbers.mask(random.random(numbers.shape) < 0.02)
    late = (numbers["x0"] + random.normal(size=ROWS) > 0).astype(int)
    return gaps.assign(id=range(ROWS), carrier=random.choice(list("ABCDEF"), ROWS), late=late)


def _nodes(client: BatchClient, folder: str) -> dict[str, Any]:
    """Return the pipeline's jobs; the components are registered with their code and environment."""
    files = {path.relative_to(RUNTIME).as_posix(): path.read_bytes() for path in RUNTIME.rglob("*.py")}
    code = client.register_code(files)
    ids = {}
    for component, spec in SPECS.items():
        surroundings = spec["environment"]
        conda_file = (OUR_COMPONENTS / surroundings["conda_file"]).read_text(encoding="utf-8")
        environment = client.register_environment(
            f"bench-{component}", image=surroundings["image"], condaFile=conda_file
        )
        body = {**spec, "code": f"azureml:{code}", "environment": f"azureml:{environment}"}
        ids[component] = client.register_spec(body)
    return {name: _node(name, ids[step[0]], step, folder) for name, step in STEPS.items()}


def _node(name: str, component: str, step: Step, folder: str) -> dict[str, Any]:
    kind, connections, parameters = step
    inputs: dict[str, Any] = {key: {"job_input_type": "literal", "value": value} for key, value in parameters.items()}
    for port, source in connections.items():
        if isinstance(source, str):
            inputs[port] = {"job_input_type": "uri_folder", "uri": folder}
        else:
            inputs[port] = {
                "job_input_type": "literal",
                "value": f"${{{{parent.jobs.{source[0]}.outputs.{source[1]}}}}}",
            }
    outputs = {port: {"job_output_type": output["type"]} for port, output in SPECS[kind]["outputs"].items()}
    return {
        "type": "command",
        "name": name,
        "componentId": component,
        "inputs": inputs,
        "outputs": outputs,
        "_source": "REMOTE.WORKSPACE.COMPONENT",
    }


def _by_hand(content: bytes) -> float:
    """Run the steps one after another; return how many seconds they took."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / DATA).mkdir()
        (folder / DATA / "flights.csv").write_bytes(content)
        began = time.perf_counter()
        for step in STEPS:
            _run(step, folder)
        return time.perf_counter() - began


def _run(name: str, folder: Path) -> None:
    component, connections, parameters = STEPS[name]
    spec = SPECS[component]
    sources = {port: [source] if isinstance(source, str) else source for port, source in connections.items()}
    values = {port: str(folder.joinpath(*source)) for port, source in sources.items()} | parameters
    values |= {port: str(folder / name / port) for port in spec["outputs"]}
    options = [text for key, value in values.items() for text in (f"--{key}", value)]
    environment = {**os.environ, "PYTHONPATH": str(RUNTIME)}
    command = [sys.executable, "-m", "designer_modules", spec["tags"]["module"], *options]
    subprocess.run(command, check=True, env=environment, stdin=subprocess.DEVNULL)
