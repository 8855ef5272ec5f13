"""Right and wrong answers to the exercises on running a batch pipeline, and on moving from version 1 to version 2."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import requests
from azure.ai.ml.entities import RetrySettings
from PIL import Image

JOBS = "https://flights.eastus.inference.ml.azure.com/jobs"
PLAN = {"JobInputType": "UriFile", "Uri": "azureml://datastores/workspaceblobstore/paths/plan.csv"}


def _posted(status: int = 201, uri: str = JOBS, repeatable: bool = True, **inputs: Any) -> requests.Response:
    """The response to a POST with a plan and these literal inputs."""
    literals = {name: {"JobInputType": "Literal", "Value": value} for name, value in inputs.items()}
    return _sent({"properties": {"InputData": {"plan": PLAN, **literals}}}, status, uri, repeatable)


def _sent(body: dict[str, Any], status: int = 201, uri: str = JOBS, repeatable: bool = True) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = b"{}"
    headers = {"repeatability_request-id": "1"} if repeatable else {}
    response.request = requests.Request("POST", uri, headers, json=body).prepare()
    return response


def _survives(of_all: bool = True, whole: bool = True, capped: bool = True, within: bool = True) -> Any:
    """A function that decides as Azure does, or one with a plausible fault."""

    def answer(mini_batches: list[tuple[int, int | None]], threshold: int) -> bool:
        lost = [pages - (rows or 0) if rows is not None or whole else 1 for pages, rows in mini_batches]
        lost = [max(one, 0) for one in lost] if capped else lost
        failed = sum(lost) if of_all else max(lost)
        return threshold == -1 or (failed <= threshold if within else failed < threshold)

    return answer


def _reads(bad: Any = "unreadable", form: Callable[[list[Any]], Any] = list) -> Callable[[list[str]], Any]:
    """A function that reads pages, and says ``bad`` of one that it cannot read."""

    def answer(mini_batch: list[str]) -> Any:
        rows = []
        for page in mini_batch:
            try:
                Image.open(page)
            except OSError as error:
                rows.append((Path(page).name, error if bad is OSError else bad))
            else:
                rows.append((Path(page).name, 7))
        return form(rows)

    return answer


def _skips(mini_batch: list[str]) -> list[str]:
    return [row for row in (str(row) for row in _reads()(mini_batch)) if "unreadable" not in row]


def _predictions(pages: int = 25, twice: int = 0) -> pd.DataFrame:
    names = [f"page-{number:04}.png" for number in [*range(pages), *range(twice)]]
    return pd.DataFrame({"page": names, "digit": 1, "sure": 1.0})


TWINS = {
    "ParallelRunStep": "parallel_run_function",
    "PythonScriptStep": "command component",
    "OutputFileDatasetConfig": "output",
    "PipelineParameter": "input",
    "PublishedPipeline": "deployment",
    "PipelineEndpoint": "batch endpoint",
    "set_default": "default deployment",
    "Schedule.create": "JobSchedule",
    "get_output_data": "jobs.download",
    "path_on_datastore": "none",
}


def _translates(
    kind: str = "UriFile", literal: str = "Literal", of: type = lambda value: value, field: str = "InputData"
) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A function that translates a body of version 1, or does so with a plausible fault."""

    def answer(body: dict[str, Any]) -> dict[str, Any]:
        inputs: dict[str, Any] = {
            name: {"JobInputType": literal, "Value": of(value)}
            for name, value in body.get("ParameterAssignments", {}).items()
        }
        for name, place in body.get("DataPathAssignments", {}).items():
            uri = f"azureml://datastores/{place['DataStoreName']}/paths/{place['RelativePath']}"
            inputs[name] = {"JobInputType": kind, "Uri": uri}
        return {"properties": {field: inputs}}

    return answer


def _with_experiment(body: dict[str, Any]) -> dict[str, Any]:
    made = json.loads(json.dumps(_translates()(body)).replace("JobInputType", "jobInputType"))
    made["properties"]["properties"] = {"experimentName": body.get("ExperimentName")}
    return made


def _with_bare_path(body: dict[str, Any]) -> dict[str, Any]:
    """Forget that a path is wrapped as an input of its own."""
    made = _translates()(body)
    bare = {name: place["RelativePath"] for name, place in body.get("DataPathAssignments", {}).items()}
    made["properties"]["InputData"].update(bare)
    return made


def _settings(**changed: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """A function that renames a configuration; ``changed`` are functions of it, or None for what is left out."""

    def answer(config: dict[str, Any]) -> dict[str, Any]:
        makers: dict[str, Any] = {
            "mini_batch_size": lambda config: config["mini_batch_size"],
            "instance_count": lambda config: config["node_count"],
            "max_concurrency_per_instance": lambda config: config["process_count_per_node"],
            "error_threshold": lambda config: config["error_threshold"],
            "retry_settings": lambda config: {
                "timeout": config["run_invocation_timeout"],
                "max_retries": config["run_max_try"] - 1,
            },
            **changed,
        }
        return {name: maker(config) for name, maker in makers.items() if maker}

    return answer


def _retries(config: dict[str, Any]) -> RetrySettings:
    return RetrySettings(timeout=config["run_invocation_timeout"], max_retries=config["run_max_try"] - 1)


RIGHT: dict[str, list[object]] = {
    "run_and_obtain_outputs/by_hand": [
        _posted(days=3, threshold=0.2),
        _posted(200, days="3", threshold="0.2"),
        _sent(
            json.loads(
                json.dumps(
                    {
                        "properties": {
                            "inputData": {
                                "plan": PLAN,
                                "days": {"jobInputType": "Literal", "value": 3},
                                "threshold": {"jobInputType": "Literal", "value": 0.2},
                            }
                        }
                    }
                )
            )
        ),
    ],
    "run_and_obtain_outputs/survives": [
        _survives(),
        lambda runs, most: int(most < 0 or sum(max(0, n - (rows or 0)) for n, rows in runs) <= most),
    ],
    "run_and_obtain_outputs/read_pages": [
        _reads(),
        _reads(bad=None, form=pd.DataFrame),
        _reads(bad=OSError, form=tuple),
        _reads(bad="?", form=lambda rows: [f"{name}: {digit}" for name, digit in rows]),
        _reads(form=lambda rows: [{"page": name, "digit": digit} for name, digit in rows]),
    ],
    "run_and_obtain_outputs/all_pages": [
        _predictions(),
        _predictions().sample(frac=1, random_state=1),
        _predictions().rename(columns={"page": 0, "digit": 1}),
    ],
    "from_v1_to_v2/twins": [TWINS, {name: twin.upper() for name, twin in TWINS.items()}, {**TWINS, "more": "?"}],
    "from_v1_to_v2/translate": [_translates(), _translates(kind="urifile", field="inputData"), _with_experiment],
    "from_v1_to_v2/settings": [
        _settings(),
        _settings(retry_settings=_retries),
        _settings(mini_batch_size=lambda config: str(config["mini_batch_size"]), logging_level=lambda config: "INFO"),
    ],
}

WRONG: dict[str, list[tuple[object, str]]] = {
    "run_and_obtain_outputs/by_hand": [
        (_posted(401, days=3, threshold=0.2), "one for https://ml.azure.com"),
        (_posted(403, days=3, threshold=0.2), "For which service"),
        (_posted(days=3), "`threshold` was not given"),
        (_posted(days=14, threshold=0.2), "`days` was 14"),
        (_posted(days=3, threshold=30), "`threshold` was 30"),
        (_posted(400, days=3, threshold=0.2), "answered 400"),
        (_posted(uri=JOBS.replace("/jobs", "/score"), days=3, threshold=0.2), "another address"),
        (_posted(repeatable=False, days=3, threshold=0.2), "would start a second job"),
        (_sent({"properties": {"InputData": {}}}), "without a `plan`"),
        (SimpleNamespace(name="batchjob-1"), "the response itself"),
    ],
    "run_and_obtain_outputs/survives": [
        (_survives(of_all=False), "for the whole job"),
        (_survives(whole=False), "all pages of its mini-batch"),
        (_survives(capped=False), "makes up for none"),
        (_survives(within=False), "nothing failed"),
        (lambda runs, most: _survives()(runs, max(most, 0)), "whatever fails"),
        (True, "a function is wanted"),
    ],
    "run_and_obtain_outputs/read_pages": [
        (_skips, "2 rows for 4 pages"),
        (_reads(bad=0), "takes that for a result"),
        (lambda pages: [Image.open(page).size for page in pages], "UnidentifiedImageError was raised"),
        (lambda pages: [7 for _ in pages], "no row names one.png"),
        (lambda pages: [f"{Path(page).name} unreadable" for page in pages], "says no digit"),
        (lambda pages: None, "TypeError was raised"),
        ([7], "a function is wanted"),
    ],
    "run_and_obtain_outputs/all_pages": [
        (_predictions(5), "5 of 25 pages"),
        (_predictions(25, twice=5), "30 rows for 25 pages"),
        (_predictions(0), "0 of 25 pages"),
        (25, "of type int"),
    ],
    "from_v1_to_v2/twins": [
        ({**TWINS, "PublishedPipeline": "batch endpoint"}, "the address is another thing"),
        ({**TWINS, "PipelineEndpoint": "deployment"}, "the address that stays"),
        ({**TWINS, "path_on_datastore": "JobSchedule"}, "again and again"),
        ({**TWINS, "ParallelRunStep": "parallel job step"}, "is none of"),
        ({"ParallelRunStep": "parallel_run_function"}, "missing: PythonScriptStep"),
        (list(TWINS.values()), "of type list"),
    ],
    "from_v1_to_v2/translate": [
        (lambda body: {"properties": body}, "a word of version 1"),
        (lambda body: body, "no such dictionary"),
        (_translates(field="Inputs"), "are wanted"),
        (_translates(kind="Literal"), "JobInputType is UriFile"),
        (_translates(literal="UriFile"), "JobInputType is Literal"),
        (_with_bare_path, "JobInputType is UriFile"),
        (_translates(of=str), "it was 3"),
        (lambda body: {"properties": {"InputData": dict(body.get("ParameterAssignments", {}))}}, "is Literal"),
        ({"properties": {}}, "a function is wanted"),
    ],
    "from_v1_to_v2/settings": [
        (lambda config: config, "is a name of version 1"),
        (_settings(retry_settings=None), "`retry_settings`"),
        (
            _settings(retry_settings=lambda config: {"timeout": 90, "max_retries": config["run_max_try"]}),
            "counts the first try",
        ),
        (_settings(retry_settings=lambda config: {"timeout": 90, "max_retries": 2}), "max_retries is 2"),
        (_settings(retry_settings=lambda config: {"timeout": 60, "max_retries": 2}), "the time-out is 60"),
        (_settings(instance_count=lambda config: config["process_count_per_node"]), "how many nodes"),
        (_settings(error_threshold=None), "`error_threshold` is missing"),
        (lambda config: [config], "not list"),
        (3, "a function is wanted"),
    ],
}
