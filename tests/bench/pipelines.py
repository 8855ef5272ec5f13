"""Pipelines: what a step costs beside the same command as a job by itself."""

from __future__ import annotations

import time
from collections.abc import Iterator
from statistics import median

from batch_client import BatchClient
from results import Row

CLUSTER = "bench-pipelines"
STEPS = 5  # each of which waits for the one before
ROUNDS = 5
COMMAND = "cp -r ${{inputs.from}}/. ${{outputs.to}}"


def pipeline_steps(client: BatchClient) -> Iterator[Row]:
    """Run a pipeline of steps one after another, and beside it one of them as a job."""
    client.create_cluster(CLUSTER)
    folder = client.upload({"file.txt": b"content"})
    component = client.register_component(COMMAND, {"from": "uri_folder"}, {"to": "uri_folder"})
    nodes = {f"step_{number}": _step(component, number, folder) for number in range(STEPS)}
    client.run_pipeline(CLUSTER, nodes)
    together, alone = [], []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        client.run_pipeline(CLUSTER, nodes)
        together.append((time.perf_counter() - began) / STEPS)
        began = time.perf_counter()
        client.run_job(
            CLUSTER,
            COMMAND,
            inputs={"from": {"jobInputType": "uri_folder", "uri": folder}},
            outputs={"to": {"jobOutputType": "uri_folder"}},
        )
        alone.append(time.perf_counter() - began)
    yield Row("a step of a pipeline", median(together), "s", "the same command as a job", median(alone))
    added = median(step - job for step, job in zip(together, alone, strict=True))
    yield Row("a step of a pipeline: over that job", added, "s", goal="value <= 0.25")


def _step(component: str, number: int, folder: str) -> dict[str, object]:
    before = f"${{{{parent.jobs.step_{number - 1}.outputs.to}}}}"
    given = (
        {"job_input_type": "literal", "value": before} if number else {"job_input_type": "uri_folder", "uri": folder}
    )
    return {
        "type": "command",
        "name": f"step_{number}",
        "componentId": component,
        "inputs": {"from": given},
        "outputs": {"to": {"job_output_type": "uri_folder"}},
        "_source": "REMOTE.WORKSPACE.COMPONENT",
    }
