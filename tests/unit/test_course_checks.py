"""Each exercise's judge: right answers in differing forms, plausible wrong ones, wrong types, None, and none yet."""

from __future__ import annotations

import functools
import importlib
import json
import math
import operator
import random
from collections.abc import Callable
from fnmatch import fnmatch
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import numpy as np
import pandas as pd
import pytest
import requests
from azure.ai.ml import Input, Output, command
from azure.ai.ml._utils import _experimental
from azure.ai.ml.entities import AmlCompute, DataCollector, DeploymentCollection
from azure.core.exceptions import HttpResponseError
from IPython.core.formatters import DisplayFormatter
from sklearn.datasets import load_digits

import helpers
from helpers.checking import exercises_of
from helpers.outline import lessons
from helpers.verdicts import CheckResult

TRUTH = load_digits().target[::5]
NEARLY = np.where(np.arange(360) % 20 == 0, 1, TRUTH)


@pytest.fixture(autouse=True)
def _own_progress(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZUREML_WORKBOOK_PROGRESS", str(tmp_path / "progress.db"))


def _response(status: int = 200, body: object = None, key: str | None = "k1", **headers: str) -> requests.Response:
    """A response as requests makes it, with the request that it answers."""
    response = requests.Response()
    response.status_code = status
    response._content = json.dumps(body).encode()
    shown = {"Authorization": f"Bearer {key}"} if key else {}
    request = requests.Request("POST", "https://tumour.eastus.inference.ml.azure.com/score", {**shown, **headers})
    response.request = request.prepare()
    return response


def _blue(**changed: Any) -> requests.Response:
    return _response(**{"body": [{}] * 10, "azureml-model-deployment": "blue", **changed})


def _in_the_address() -> requests.Response:
    response = _blue(key=None)
    response.request.url = "https://tumour.eastus.inference.ml.azure.com/score?key=k1"
    return response


def _knocks(*pairs: tuple[str, int]) -> list[requests.Response]:
    return [_response(status, key=key) for key, status in pairs]


def _images(form: Callable[[np.ndarray], object]) -> Callable[[np.ndarray], object]:
    return lambda image: {"images": form(image)}


SIZES = {
    "photos": "Standard_NC4as_T4_v3",
    "prepare": "Standard_DS2_v2",
    "search": "Standard_F64s_v2",
    "table": "Standard_E48s_v3",
    "shards": "Standard_L16s_v3",
    "language": "Standard_NC24ads_A100_v4",
    "eight": "Standard_ND96asr_v4",
    "legacy": "Standard_NC8as_T4_v3",
}
OPTIONS = """
option               | real-time | scales | from zero | guaranteed | free idle
kubernetes           | yes | yes | no  | yes | no
managed endpoint     | yes | yes | no  | yes | no
dedicated cluster    | no  | yes | yes | yes | yes
low-priority cluster | no  | yes | yes | no  | yes
serverless           | no  | yes | yes | yes | yes
compute instance     | no  | no  | no  | yes | no
virtual machine      | no  | no  | no  | yes | no
databricks           | no  | yes | yes | yes | yes
local                | no  | no  | no  | yes | yes
"""
ROWS = {
    row[0].strip(): [cell.strip() for cell in row[1:]]
    for row in (line.split("|") for line in OPTIONS.strip().splitlines()[1:])
}
CHOICES = {
    "shop": "managed endpoint",
    "factory": "kubernetes",
    "overnight": "dedicated cluster",
    "sweep": "low-priority cluster",
    "newcomer": "compute instance",
    "spark": "databricks",
    "script": "local",
}
ROLES = {
    "auditor": "Reader",
    "team": "AzureML Data Scientist",
    "operator": "AzureML Compute Operator",
    "loader": "Storage Blob Data Contributor",
    "lead": "Role Based Access Control Administrator",
}


def _break_even(starting: float = 5, idling: float = 2, first: int = 0) -> Callable[[float, float, float], int]:
    def answer(minutes: float, cluster_usd: float, endpoint_usd: float) -> int:
        runs = first
        while runs * (starting + minutes + idling) / 60 * cluster_usd <= 24 * endpoint_usd:
            runs += 1
        return runs

    return answer


def _allows(exceptions: bool = True, ignore_case: bool = True, of_all: bool = False) -> Callable[[Any, str], bool]:
    """A function that decides as Azure does, or one with a plausible fault."""

    def fold(text: str) -> str:
        return text.lower() if ignore_case else text

    def fits(action: str, patterns: list[str] | None) -> bool:
        return any(fnmatch(fold(action), fold(pattern)) for pattern in patterns or [])

    def answer(role: Any, action: str) -> bool:
        if of_all and any(fits(action, permission.not_actions) for permission in role.permissions):
            return False
        return any(
            fits(action, permission.actions) and not (exceptions and fits(action, permission.not_actions))
            for permission in role.permissions
        )

    return answer


class _Container:
    """A container client whose uploads are answered by Azure, or refused."""

    container_name = "blobs"

    def __init__(self, status: int = 201) -> None:
        self.status = status
        self.blobs: set[str] = set()

    def upload_blob(self, name: str, data: bytes, overwrite: bool) -> None:
        if self.status >= 400:
            error = HttpResponseError("refused")
            error.status_code = self.status
            raise error
        self.blobs.add(name)

    def delete_blob(self, name: str) -> None:
        self.blobs.remove(name)


def _assigned(
    guid: str = "ba92f5b4-2d11-453d-a403-e96b0029c9fe", scope: str = "/blobServices/default/containers/blobs"
) -> Any:
    return SimpleNamespace(
        role_definition_id=f"/subscriptions/s/providers/Microsoft.Authorization/roleDefinitions/{guid}",
        scope=f"/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a{scope}",
    )


def _run_resumably(folder: Path, steps: int, do: Callable[[int], None]) -> None:
    """Keeps a file for each step that is done."""
    for step in range(1, steps + 1):
        if not (folder / str(step)).exists():
            do(step)
            (folder / str(step)).touch()


def _run_resumably_in_json(folder: Path, steps: int, do: Callable[[int], None]) -> None:
    file = folder / "state.json"
    state = json.loads(file.read_text()) if file.exists() else {"next": 1}
    while state["next"] <= steps:
        do(state["next"])
        state["next"] += 1
        file.write_text(json.dumps(state))


def _run_writing_first(folder: Path, steps: int, do: Callable[[int], None]) -> None:
    """Notes a step before it is done, so that one is left out where the node goes in its middle."""
    file = folder / "done"
    done = int(file.read_text()) if file.exists() else 0
    for step in range(done + 1, steps + 1):
        file.write_text(str(step))
        do(step)


def _run_catching(folder: Path, steps: int, do: Callable[[int], None]) -> None:
    for step in range(1, steps + 1):
        while True:
            try:
                do(step)
                break
            except BaseException:
                if step > steps:
                    raise


def _run_off_by_one(folder: Path, steps: int, do: Callable[[int], None]) -> None:
    file = folder / "done"
    for step in range(int(file.read_text()) if file.exists() else 1, steps + 1):
        do(step)
        file.write_text(str(step))


def _run_carelessly(folder: Path, steps: int, do: Callable[[int], None]) -> None:
    for step in range(1, steps + 1):
        do(step)


def _evaluation(**changed: Any) -> Any:
    """The job that is asked for, with other words in its command, or other settings."""
    folders = {name: Input(type="uri_folder", path=f"azureml:digit-{name}:1") for name in ("images", "network")}
    words = {
        "command": "python evaluate.py --images ${{inputs.images}} --model ${{inputs.network}} "
        "--report ${{outputs.report}} --least ${{inputs.least}}",
        "code": "evaluation",
        "inputs": {**folders, "least": 0.95, **changed.pop("more_inputs", {})},
        "outputs": {"report": Output(type="uri_folder")},
        "environment": "azureml:digits@latest",
        "compute": "gpu",
        "timeout": 600,
    }
    return command(**{**words, **changed})


def _limited_later() -> Any:
    job = _evaluation(timeout=None, code="./evaluation/")
    job.set_limits(timeout=600)
    return job


def _accuracies(*shares: float, **more: list[float]) -> pd.DataFrame:
    return pd.DataFrame({"validation_accuracy": shares, **more}, index=range(1, len(shares) + 1))


def _cluster(least: int, most: int, tier: str | None = None, idle: int | None = None) -> AmlCompute:
    settings = {} if idle is None else {"idle_time_before_scale_down": idle}
    return AmlCompute(name="c", min_instances=least, max_instances=most, tier=tier, **settings)


def _clusters(**changed: AmlCompute) -> dict[str, AmlCompute]:
    fitting = {"sweep": _cluster(0, 8, "low_priority"), "desk": _cluster(0, 1, idle=900), "alarm": _cluster(1, 1)}
    return {**fitting, **changed}


def _failures(**counts: int) -> pd.DataFrame:
    """What Kusto answers to a count by deployment; ``none`` stands for requests that came to none."""
    names = ["" if name == "none" else name for name in counts]
    return pd.DataFrame({"DeploymentName": names, "count_": list(counts.values())})


def _collector(*enabled: str, **options: Any) -> DataCollector:
    names = enabled or ("model_inputs",)
    # To find out whether to warn of an experimental class, the SDK reads the source of everything on the stack (0.2 s).
    with patch.object(_experimental, "_should_skip_warning", return_value=True):
        return DataCollector({name: DeploymentCollection(enabled="true") for name in names}, **options)


BY_STATUS = pd.DataFrame({"DeploymentName": ["blue", ""], "ResponseCode": [424, 401], "failed": [3, 2]})


def _traced(sent: str | None, back: str = "", status: int = 200) -> requests.Response:
    """A response to a request with this id of the client's, and the id that came back."""
    response = _response(status, **({} if sent is None else {"x-ms-client-request-id": sent}))
    response.headers["x-ms-client-request-id"] = back or sent or ""
    return response


def _rows(document: Any) -> Any:
    return document["components"]["schemas"]["ServiceInput"]["example"]


def _pause(status: int, attempt: int) -> float | None:
    return None if status not in (429, 500, 503) or attempt >= 5 else min(60.0, 2.0**attempt)


def _limited(longest: float, statuses: tuple[int, ...] = (429, 503), failures: int = 5) -> Callable[[int, int], Any]:
    """A function that doubles its pauses up to ``longest`` seconds, retries these statuses, and gives up in the end."""
    return lambda status, attempt: min(longest, 2**attempt) if status in statuses and attempt < failures else None


def _answers(count: int = 30, by: str = "green", status: int = 200, **headers: str) -> list[requests.Response]:
    """Responses as they come by the traffic rules, or to requests with these headers."""
    responses = [_response(status, **headers) for _ in range(count)]
    for response in responses:
        response.headers["azureml-model-deployment"] = by
    return responses


def _promote(
    failures: int = 5, points: float = 0.01, fewest: int = 100, slower: float = 1.5, waits_first: bool = False
) -> Callable[[dict[str, float], dict[str, float]], str]:
    """A function that decides by the lesson's rules, or with a plausible fault."""

    def share(one: dict[str, float]) -> float:
        return one["failed"] / max(1, one["requests"])

    def answer(old: dict[str, float], new: dict[str, float]) -> str:
        verdicts = {
            "roll back": new["failed"] >= failures and share(new) - share(old) > points,
            "wait": new["requests"] < fewest,
        }
        for verdict in reversed(verdicts) if waits_first else verdicts:
            if verdicts[verdict]:
                return verdict
        return "roll back" if new["p95_ms"] > slower * old["p95_ms"] else "promote"

    return answer


RIGHT: dict[str, list[object]] = {
    "watch_an_endpoint/third_week": [
        ["mean symmetry"],
        "mean symmetry",
        {"symmetry"},
        pd.Index(["mean symmetry"]),
        pd.Series([0.8], index=["mean symmetry"]),
        np.array(["mean symmetry"]),
    ],
    "watch_an_endpoint/failures": [
        _failures(blue=3, none=2),
        _failures(none=2, blue=5),
        BY_STATUS,
        _failures(blue=3, none=2).rename(columns={"count_": "failed", "DeploymentName": "who"}),
    ],
    "watch_an_endpoint/ward_7": ["mean concavity", "concavity", "['mean concavity'] not in index"],
    "watch_an_endpoint/economical": [
        _collector(sampling_rate=0.1, rolling_rate="hour"),
        _collector(sampling_rate=0.25),
        _collector(sampling_rate=0.0125, rolling_rate="Hour"),
    ],
    "first_model/to_request": [
        _images(lambda image: [image.ravel().tolist()]),
        _images(lambda image: [[float(pixel) for row in image for pixel in row]]),
        _images(lambda image: image.reshape(1, 64).astype(int).tolist()),
        lambda image: json.dumps({"images": image.reshape(1, -1).tolist()}),
    ],
    "first_model/all_at_once": [
        _response(body=NEARLY.tolist()),
        NEARLY.tolist(),
        NEARLY,
        tuple(NEARLY.tolist()),
        _response(body=TRUTH.tolist()),  # a better model than the lesson's
    ],
    "first_model/read_the_log": ["KeyError: 'images'", 'KeyError: "images"', "2026-01-01 | KeyError: 'images'\n"],
    "choose_a_vm_size/eight_workloads": [
        SIZES,
        {key: size.lower() for key, size in SIZES.items()},
        {
            **SIZES,
            "photos": "Standard_NC8as_T4_v3",
            "table": "Standard_FX24mds",
            "language": "Standard_NC40ads_H100_v5",
        },
        {**SIZES, "prepare": "Standard_D2_v3", "eight": "Standard_ND96amsr_A100_v4", "search": "Standard_D64s_v3"},
    ],
    "choose_a_vm_size/most_nodes": [
        lambda limit, used, vcpus: max(0, limit - used) // vcpus,
        lambda limit, used, vcpus: max(int((limit - used) / vcpus), 0),
        lambda limit, used, vcpus: float(max(0, (limit - used) // vcpus)),
    ],
    "choose_a_vm_size/cheapest_job": [
        "Standard_NC24ads_A100_v4",
        "standard_nc24ads_a100_v4",
        " Standard_NC24ads_A100_v4",
    ],
    "evaluate_compute_options/table": [
        OPTIONS,
        OPTIONS.upper().replace("YES", "y").replace("NO", "n"),
        ROWS,
        pd.DataFrame.from_dict(ROWS, orient="index"),
        {option: [cell == "yes" for cell in row] for option, row in ROWS.items()},
        OPTIONS.replace("databricks           | no  | yes | yes", "databricks | no | no | no"),  # by Azure ML it is not
    ],
    "evaluate_compute_options/choices": [
        CHOICES,
        {**CHOICES, "overnight": "serverless"},
        {key: option.upper() for key, option in CHOICES.items()},
    ],
    "evaluate_compute_options/break_even": [
        _break_even(),
        lambda minutes, cluster, endpoint: int(24 * endpoint / (cluster * (minutes + 7) / 60)) + 1,
    ],
    "identities_and_roles/allows": [_allows(), lambda role, action: int(_allows()(role, action))],
    "identities_and_roles/smallest": [
        ROLES,
        {**ROLES, "lead": "User Access Administrator"},
        {key: role.lower() for key, role in ROLES.items()},
    ],
    "identities_and_roles/upload": [
        (_assigned(), _Container()),
        [_assigned(scope="/BLOBSERVICES/default/Containers/blobs"), _Container()],
    ],
    "deploy_with_keys/by_hand": [_blue(), _blue(key="k2"), _blue(Extra="x")],
    "deploy_with_keys/rotate": [
        _knocks(("old", 401), ("first", 200), ("new", 200)),
        tuple(_knocks(("old", 401), ("first", 200), ("new", 200))),
    ],
    "deploy_with_keys/worth_retrying": [
        lambda status: status in (429, 503),
        lambda status: status == 429 or status >= 500,
        lambda status: int(status in {408, 429, 502, 503, 504}),
    ],
    "train_on_gpu_cluster/write_the_command": [
        _evaluation(),
        _limited_later(),
        _evaluation(more_inputs={"least": Input(type="number", default=0.95)}),
        _evaluation(more_inputs={"network": Input(type="custom_model", path="azureml:digit-network:1")}),
        _evaluation(
            command="cd . && python evaluate.py --least=${{ inputs.least }} --report='${{outputs.report}}' "
            "--images '${{inputs.images}}' --model ${{inputs.network}}"
        ),
    ],
    "train_on_gpu_cluster/half_the_epochs": [
        _accuracies(0.8, 0.9, 0.94, 0.96, 0.93),
        _accuracies(0.9, 0.951),
        _accuracies(0.9, 0.99, training_seconds=[np.nan, 2.5]),
        pd.concat([pd.DataFrame({"training_seconds": [1.0]}, index=[0]), _accuracies(0.9, 0.92, 0.94, 0.95, 0.96)]),
    ],
    "train_on_gpu_cluster/stop_early": [
        lambda a, p: len(a) > p and max(a[-p:]) <= max(a[:-p]),
        lambda a, p: bool(a) and len(a) - 1 - a.index(max(a)) >= p,
        lambda a, p: bool(len(a)) and int(np.argmax(a)) < len(a) - p,
    ],
    "scale_and_preempt/clusters": [
        _clusters(),
        _clusters(sweep=_cluster(0, 40, "LowPriority", 60), desk=_cluster(0, 4, "dedicated", 300)),
        _clusters(sweep=_cluster(0, 5, "low_priority", 600), alarm=_cluster(1, 3, "Dedicated", 120)),
    ],
    "scale_and_preempt/resumable": [_run_resumably, _run_resumably_in_json],
    "scale_and_preempt/saved": [
        lambda price, hours, again: price * hours * (1 - 0.2 * (1 + again)),
        lambda price, hours, again: round(price * hours - price / 5 * (hours + again * hours), 2),
    ],
    "consume_an_endpoint/traced": [
        _traced("order_2024-11-4711"),
        _traced("order_2024-11-4711", back="order_2024-11-4711"),
    ],
    "consume_an_endpoint/request_for": [
        lambda document, count: {name: rows[:1] * count for name, rows in _rows(document).items()},
        lambda document, count: {name: [dict(rows[0]) for _ in range(count)] for name, rows in _rows(document).items()},
        lambda document, count: {next(iter(_rows(document))): [next(iter(_rows(document).values()))[0]] * count},
    ],
    "consume_an_endpoint/pause": [
        _pause,
        lambda status, attempt: None if _pause(status, attempt) is None else random.uniform(0, 2**attempt),
        lambda status, attempt: {1: 0, 2: 1, 3: 5, 4: 60}.get(attempt) if status in (429, 503) else None,
    ],
    "consume_an_endpoint/instances_for": [
        lambda callers, concurrency: math.ceil(callers / (2 * concurrency)),
        lambda callers, concurrency: max(1, (callers + 2 * concurrency - 1) // (2 * concurrency)),
    ],
    "roll_out_safely/canary_share": [
        lambda per_minute, minutes, wanted: next(
            (share for share in range(1, 101) if share * per_minute * minutes >= 100 * wanted), None
        ),
        lambda per_minute, minutes, wanted: (
            share if (share := math.ceil(100 * wanted / (per_minute * minutes))) <= 100 else None
        ),
    ],
    "roll_out_safely/roll_back": [_answers(), tuple(_answers(45))],
    "roll_out_safely/promote": [_promote(), _promote(failures=4.5)],  # type: ignore[arg-type]
}

WRONG: dict[str, list[tuple[object, str]]] = {
    "watch_an_endpoint/third_week": [
        (["mean radius"], "Do not compare means"),
        (["mean symmetry", "mean radius"], "less than 0.1"),
        ([], "one is missing"),
        (["mean size"], "none of the features"),
        (0.78, "of type float"),
    ],
    "watch_an_endpoint/failures": [
        (_failures(blue=54, none=2), "every request"),
        (_failures(blue=3), "before a deployment was chosen"),
        (_failures(none=2), "`blue` is missing"),
        (_failures(), "one of counts are wanted"),
        (pd.DataFrame({"count_": [5]}), "a column of deployments"),
        (pd.DataFrame({"DeploymentName": ["blue", ""]}), "one of counts"),
        ({"blue": 3, "": 2}, "of type dict"),
    ],
    "watch_an_endpoint/ward_7": [
        ("mean smoothness", "lab-3 left out"),
        ("mean symmetry", "desk-1 left out"),
        ("mean radius", "in no line"),
        ("concavity or symmetry", "in no line"),
        (["mean concavity"], "of type list"),
    ],
    "watch_an_endpoint/economical": [
        (_collector(sampling_rate=1.0), "4.0 GB a day"),
        (_collector(), "4.0 GB a day"),
        (_collector(sampling_rate=25), "a share"),
        (_collector(sampling_rate=0.001), "83 rows an hour"),
        (_collector("model_inputs", "model_outputs", sampling_rate=0.1), "nothing else"),
        (_collector("request", sampling_rate=0.1), "nothing else"),
        (_collector(sampling_rate=0.1, rolling_rate="day"), "no new file each hour"),
        (0.1, "of type float"),
    ],
    "first_model/to_request": [
        (_images(lambda image: image.ravel().tolist()), "one row of 64 values"),
        (_images(lambda image: [image.ravel()]), "JSON cannot hold"),
        (_images(lambda image: [image.tolist()]), "still 8 by 8"),
        (_images(lambda image: image.tolist()), "still 8 by 8"),
        (_images(lambda image: [image.T.ravel().tolist()]), "as they are"),
        (_images(lambda image: [(image / 16).ravel().tolist()]), "as they are"),
        (lambda image: {"image": [image.ravel().tolist()]}, 'under "images"'),
        (lambda image: [image.ravel().tolist()], 'under "images"'),
        (lambda image: None, 'under "images"'),
        (lambda: {}, "TypeError was raised"),
        ({"images": [[0] * 64]}, "a function is wanted, this is of type dict"),
    ],
    "first_model/all_at_once": [
        (_response(body=TRUTH[:5].tolist()), "5 digits came back"),
        (_response(424, {"message": "error"}), "answered 424"),
        (TRUTH, "is this the truth"),
        (NEARLY[::-1], "in order"),
        (200, "the list of digits"),
        ("0, 5", "the list of digits"),
        (_response(body={"message": "?"}), "the list of digits"),
    ],
    "first_model/read_the_log": [
        ("ValueError: X has 3 features, but LogisticRegression is expecting 64 features as input.", "three pixels"),
        ('{"message": "An unexpected error occurred in scoring script."}', "what the caller is told"),
        ("Traceback (most recent call last):\n  ...\nKeyError: 'images'", "Which line"),
        ("    images = json.loads(raw_data)['images']", "does not name the error"),
        (["KeyError: 'images'"], "of type list"),
    ],
    "choose_a_vm_size/eight_workloads": [
        ({**SIZES, "photos": "Standard_NC6s_v2"}, "was retired on 2023-08-31"),
        ({**SIZES, "photos": "Standard_NV6ads_A10_v5"}, "it has 4 GiB of memory of a GPU; 10 are needed"),
        ({**SIZES, "photos": "Standard_DS5_v2"}, "it has 0 GPUs"),
        ({**SIZES, "photos": "Standard_NC24ads_A100_v4"}, "for 1/7.0 of the price"),
        ({**SIZES, "prepare": "Standard_F2s_v2"}, "it has 4 GiB of memory; 7 are needed"),
        ({**SIZES, "search": "Standard_NC64as_T4_v3"}, "has GPUs, which"),
        ({**SIZES, "table": "Standard_D64s_v3"}, "it has 256 GiB of memory; 300 are needed"),
        ({**SIZES, "table": "Standard_M32ms"}, "of the price"),
        ({**SIZES, "shards": "Standard_L8s_v2"}, "it has 1.92 TB of local NVMe disk; 3.5 are needed"),
        ({**SIZES, "shards": "Standard_D64_v3"}, "it has 0 TB of local NVMe"),
        ({**SIZES, "language": "Standard_NC96ads_A100_v4"}, "of the price"),
        ({**SIZES, "eight": "Standard_ND40rs_v2"}, "it has 32 GiB of memory of a GPU; 40 are needed"),
        ({**SIZES, "legacy": "Standard_NC6s_v3"}, "was retired on 2025-09-30"),
        ({**SIZES, "legacy": "Standard_NC4as_T4_v3"}, "it has 4 vCPUs; 6 are needed"),
        ({**SIZES, "legacy": "NCasT4_v3"}, "is no size of the list"),
        ({"photos": "Standard_NC4as_T4_v3"}, "missing: prepare"),
        (list(SIZES.values()), "of type list"),
    ],
    "choose_a_vm_size/most_nodes": [
        (lambda limit, used, vcpus: limit - used, "counts vCPUs, not machines"),
        (lambda limit, used, vcpus: limit // vcpus, "no longer free"),
        (lambda limit, used, vcpus: max(0, limit - used) / vcpus, "no machine"),
        (lambda limit, used, vcpus: -((used - limit) // vcpus), "a whole machine"),
        (lambda limit, used, vcpus: (limit - used) // vcpus, "fewer than none"),
        (16, "a function is wanted"),
    ],
    "choose_a_vm_size/cheapest_job": [
        ("Standard_NC4as_T4_v3", "lowest price of an hour"),
        ("Standard_D16s_v3", "41 hours"),
        ("Standard_ND96asr_v4", "done first"),
        ("A100", "one of the four sizes"),
        (2.2, "one of the four sizes"),
    ],
    "evaluate_compute_options/table": [
        (
            OPTIONS.replace("managed endpoint     | yes | yes | no ", "managed endpoint | yes | yes | yes"),
            "instance_count=0",
        ),
        (OPTIONS.replace("dedicated cluster    | no ", "dedicated cluster | yes"), "wait in a queue"),
        (
            OPTIONS.replace("dedicated cluster    | no  | yes | yes | yes", "dedicated cluster | no | yes | yes | no"),
            "preempted",
        ),
        (
            OPTIONS.replace(
                "low-priority cluster | no  | yes | yes | no ", "low-priority cluster | no | yes | yes | yes"
            ),
            "taken away",
        ),
        (OPTIONS.replace("virtual machine      | no  | no ", "virtual machine | no | yes"), "one machine"),
        (OPTIONS.replace("local ", "lokal "), 'no row "local"'),
        (OPTIONS.replace("| no  | no  | no  | yes | no\ndata", "| no  | no | yes | no\ndata"), "has 4 answers"),
        (OPTIONS.replace("yes", "?"), "neither yes nor no"),
        ("", 'no row "kubernetes"'),
        (42, "as a text"),
    ],
    "evaluate_compute_options/choices": [
        ({**CHOICES, "shop": "dedicated cluster"}, "cannot wait in a queue"),
        ({**CHOICES, "shop": "kubernetes"}, "looks after the cluster"),
        ({**CHOICES, "factory": "managed endpoint"}, "must not leave"),
        ({**CHOICES, "overnight": "low-priority cluster"}, "taken away at five"),
        ({**CHOICES, "overnight": "managed endpoint"}, "for nobody"),
        ({**CHOICES, "sweep": "dedicated cluster"}, "five times the price"),
        ({**CHOICES, "script": "databricks"}, "decision tree"),
        ({**CHOICES, "spark": "Spark"}, "is none of kubernetes"),
        ({"shop": "managed endpoint"}, "missing: factory"),
        (["managed endpoint"] * 7, "of type list"),
    ],
    "evaluate_compute_options/break_even": [
        (_break_even(starting=0, idling=0), "while it starts and while it idles"),
        (_break_even(first=1, idling=60), "for the first time"),
        (lambda *case: _break_even()(*case) - 1, "nearly"),
        (lambda minutes, cluster, endpoint: 24 * endpoint / (cluster * (minutes + 7) / 60), "nearly"),
        (lambda minutes, cluster, endpoint: None, "says None"),
        (43, "a function is wanted"),
    ],
    "identities_and_roles/allows": [
        (_allows(exceptions=False), "takes it away again"),
        (_allows(ignore_case=False), "upper and lower case"),
        (_allows(of_all=True), "from its own permission only"),
        (lambda role, action: action in role.permissions[0].actions, "a * stands for any text"),
        (lambda role, action: _allows()(SimpleNamespace(permissions=role.permissions[:1]), action), "permission"),
        (lambda role, action: True, "the part after the star"),
        (lambda role, action: not fnmatch(action, role.permissions[0].not_actions[0]), "IndexError was raised"),
        (True, "a function is wanted"),
    ],
    "identities_and_roles/smallest": [
        ({**ROLES, "team": "Contributor"}, "far more than it needs"),
        ({**ROLES, "lead": "Owner"}, "far more than it needs"),
        ({**ROLES, "team": "Reader"}, "registers nothing"),
        ({**ROLES, "operator": "AzureML Data Scientist"}, "excepts"),
        ({**ROLES, "loader": "Storage Blob Data Reader"}, "that one reads"),
        ({**ROLES, "loader": "AzureML Data Scientist"}, "no data actions"),
        ({**ROLES, "auditor": "Auditor"}, "that is not the one"),
        ({"team": "AzureML Data Scientist"}, "missing: auditor"),
        (list(ROLES.values()), "of type list"),
    ],
    "identities_and_roles/upload": [
        ((_assigned("b7e6dc6d-f1e8-4753-8033-0f276bb0955b"), _Container()), "who else may"),
        ((_assigned("2a2b9908-6ea1-4ae2-8e65-a410df84e7d1"), _Container()), "no data action that writes"),
        ((_assigned("8e3af657-a8ff-443c-a75c-2fe8c4bcb635"), _Container()), "no data action that writes"),
        ((_assigned(scope=""), _Container()), "more than this one container"),
        (
            (_assigned(scope="/blobServices/default/containers/other-blobs"), _Container()),
            "more than this one container",
        ),
        ((_assigned(), _Container(403)), "answered 403"),
        ((_Container(), _assigned()), "the second a `ContainerClient`"),
        (_assigned(), "a pair is wanted"),
    ],
    "deploy_with_keys/by_hand": [
        (_blue(key=None, status=401), "no key was shown"),
        (_response(status=401, key=None, body={}, Authorization="k1"), "no key was shown"),
        (_in_the_address(), "ends up in logs"),
        (_blue(status=401, body={}), "answered 401"),
        (_response(body=[{}] * 10), "Ask for blue by name"),
        (_blue(body=[{}] * 3), "3 diagnoses came back"),
        ([{}] * 10, "of type list"),
    ],
    "deploy_with_keys/rotate": [
        (_knocks(("old", 200), ("first", 401), ("new", 200)), "Which of the two was regenerated"),
        (_knocks(("old", 401), ("first", 200), ("old", 401)), "fetched anew"),
        (_knocks(("old", 401), ("first", 200)), "three responses are wanted, here are 2"),
        (_knocks(("old", 401), ("stale", 401), ("new", 200)), "should be let in"),
        (_knocks(("old", 404), ("first", 200), ("new", 200)), "got 404"),
        ([401, 200, 200], "a list of responses"),
        (_response(), "a list of responses"),
    ],
    "deploy_with_keys/worth_retrying": [
        (lambda status: status != 200, "401 is sent again"),
        (lambda status: status >= 400, "401 is sent again"),
        (lambda status: status in (424, 429, 503), "424 is sent again"),
        (lambda status: status == 503, "429 is not retried"),
        (lambda status: None, "429 is not retried"),
        ([429, 503], "a function is wanted"),
    ],
    "train_on_gpu_cluster/write_the_command": [
        (_evaluation(command="python evaluate.py --images data"), "what follows --images"),
        (_evaluation(command=_evaluation().command.replace("${{inputs.least}}", "0.95")), "what follows --least"),
        (_evaluation(command=_evaluation().command.replace("outputs.", "inputs.")), "what follows --report"),
        (_evaluation(command=_evaluation().command.replace("--model", "--network")), "what follows --model"),
        (_evaluation(command=_evaluation().command.replace("evaluate", "train")), "does not run evaluate.py"),
        (_evaluation(code="."), "`code` is that folder"),
        (_evaluation(more_inputs={"images": "azureml:digit-images:1"}), "comes in as a text"),
        (_evaluation(more_inputs={"images": Input(type="uri_folder", path="azureml:pets:1")}), "digit-images:1"),
        (_evaluation(more_inputs={"least": 0.9}), "the number 0.95"),
        (_evaluation(timeout=None), "`timeout` is in seconds"),
        (_evaluation(timeout=10), "`timeout` is in seconds"),
        (_evaluation(compute=None), "a compute to run on"),
        ("python evaluate.py", "of type str"),
    ],
    "train_on_gpu_cluster/half_the_epochs": [
        (_accuracies(0.5, 0.6, 0.7, 0.8, 0.9), "90%; 95% were asked for"),
        (_accuracies(0.06, 0.05, 0.1, 0.05, 0.06), "hardly learned anything"),
        (_accuracies(*[0.9] * 5, 0.97), "that are 6 epochs"),
        (pd.DataFrame({"training_seconds": [2.0]}), "with a column validation_accuracy"),
        (_accuracies(), "no epoch has been reported"),
        (0.97, "the table that"),
    ],
    "train_on_gpu_cluster/stop_early": [
        (lambda a, p: len(a) > 1 and a[-1] <= a[-2], "only one epoch has failed"),
        (lambda a, p: len(a) > p and max(a[-p:]) < max(a[:-p]), "as good as the best"),
        (lambda a, p: len(a) >= p, "only one epoch has failed"),
        (lambda a, p: max(a[-p:]) <= max(a[:-p]), "ValueError was raised"),
        (lambda a, p: False, "yours goes on"),
        (True, "a function is wanted"),
    ],
    "scale_and_preempt/clusters": [
        (_clusters(sweep=_cluster(0, 8)), "the full price"),
        (_clusters(sweep=_cluster(0, 4, "low_priority")), "done after 5.1 hours"),
        (_clusters(sweep=_cluster(5, 5, "low_priority")), "in the 19 hours"),
        (_clusters(sweep=_cluster(0, 5, "low_priority", 7200)), "idle for longer"),
        (_clusters(sweep=_cluster(0, 0, "low_priority")), "24.0 hours"),
        (_clusters(desk=_cluster(0, 1)), "goes between two jobs"),
        (_clusters(desk=_cluster(1, 1)), "all night"),
        (_clusters(desk=_cluster(0, 1, "low_priority", 900)), "not with low priority"),
        (_clusters(desk=_cluster(0, 1, idle=86400)), "more than an hour"),
        (_clusters(alarm=_cluster(0, 1)), "waits for a node to start"),
        (_clusters(alarm=_cluster(1, 1, "low_priority")), "may be interrupted"),
        (_clusters(alarm=_cluster(3, 3)), "one is enough"),
        (_clusters(alarm=_cluster(2, 1)), "more nodes at least than at most"),
        ({"sweep": _cluster(0, 8, "low_priority")}, "missing: desk, alarm"),
        (_cluster(0, 8), "of type AmlCompute"),
    ],
    "scale_and_preempt/resumable": [
        (_run_carelessly, "steps were done twice"),
        (_run_off_by_one, "steps were done twice"),
        (_run_writing_first, "these were done: [2,"),
        (_run_catching, "Do not catch"),
        (lambda folder, steps, do: None, "these were done: []"),
        (lambda folder, steps, do: [do(step) for step in range(steps)], "these were done: [0"),
        (lambda folder, steps: None, "TypeError was raised"),
        (3, "a function is wanted"),
    ],
    "scale_and_preempt/saved": [
        (lambda price, hours, again: 0.8 * price * hours, "are 15 hours to pay for"),
        (lambda price, hours, again: 0.2 * price * hours * (1 + again), "that is what low priority costs"),
        (lambda price, hours, again: price * hours, "yours saves 100.00"),
        (lambda price, hours, again: max(0, price * hours * (0.8 - 0.2 * again)), "saves -10.00"),
        (80, "a function is wanted"),
    ],
    "consume_an_endpoint/traced": [
        (_traced(None), "carried no header"),
        (_traced("order_2024-11/4711", back="order_2024-114711"), "'order_2024-114711' is what the endpoint's log has"),
        (_traced("order-2024-11-4711"), "only what is not allowed"),
        (_traced("order_2024-114711"), "not the nearest"),
        (_traced("order_2024-11-4711", status=401), "answered 401"),
        ("order_2024-11-4711", "the response itself"),
    ],
    "consume_an_endpoint/request_for": [
        (lambda document, count: {"wines": [{"alcohol": 13.0}] * count}, "for a document about houses it made"),
        (lambda document, count: _rows(document), "1 rows were asked for"),
        (lambda document, count: next(iter(_rows(document).values()))[:1] * count, "is not of type 'object'"),
        (lambda document, count: {"houses": [{"rooms": 4}] * count}, "'town' is a required property"),
        (lambda document, count: {"houses": [{"rooms": 2, "town": "Gent"}] * count}, "the example's first"),
        (lambda document, count: {name: rows * count for name, rows in _rows(document).items()}, "the request has 2"),
        (lambda document: document, "TypeError was raised"),
        ({"wines": []}, "a function is wanted"),
    ],
    "consume_an_endpoint/pause": [
        (lambda status, attempt: min(60, 2**attempt), "failed with 401 is sent again"),
        (_limited(60, (408, 429, 503)), "failed with 408 is sent again"),
        (_limited(60, (424, 429, 503)), "failed with 424 is sent again"),
        (_limited(60, (429,)), "with 503 it gives up before"),
        (_limited(60, failures=3), "with 429 it gives up before"),
        (_limited(60, failures=6), "goes on after the fifth failure"),
        (_limited(60, failures=99), "goes on after the fifth failure"),
        (_limited(2), "longer than the first"),
        (_limited(0), "sends again at once"),
        (lambda status, attempt: 10.0**attempt if status in (429, 503) and attempt < 5 else None, "was outside"),
        (30, "a function is wanted"),
    ],
    "consume_an_endpoint/instances_for": [
        (lambda callers, concurrency: math.ceil(callers / concurrency), "enough that none waits"),
        (lambda callers, concurrency: callers // (2 * concurrency), "it says 0"),
        (lambda callers, concurrency: math.ceil(callers / 2), "for 64 callers and a concurrency of 4 it says 32"),
        (4, "a function is wanted"),
    ],
    "roll_out_safely/canary_share": [
        (lambda per_minute, minutes, wanted: 100 * wanted // (per_minute * minutes), "which gives 96"),
        (lambda per_minute, minutes, wanted: 100 * wanted / (per_minute * minutes), "Whole percents"),
        (lambda per_minute, minutes, wanted: math.ceil(100 * wanted / (per_minute * minutes)), "yours says 200"),
        (lambda per_minute, minutes, wanted: min(100, -(-100 * wanted // (per_minute * minutes))), "are 100 to be had"),
        (lambda per_minute, minutes, wanted: None, "yours says None"),
        (10, "a function is wanted"),
    ],
    "roll_out_safely/roll_back": [
        (_answers(20) + _answers(10, by="blue"), "answered by {'green': 20, 'blue': 10}"),
        (_answers(**{"azureml-model-deployment": "green"}), "asked a deployment by name"),
        (_answers(29), "here are 29"),
        (_answers(status=424), "with the statuses {424: 30}"),
        (_answers()[0], "a list of responses is wanted"),
        ([200] * 30, "a list of responses is wanted"),
    ],
    "roll_out_safely/promote": [
        (_promote(failures=1), "4 failures are too few"),
        (_promote(points=0), "0.9 percentage points more"),
        (_promote(points=0.1), "6 percent fail, against 1"),
        (_promote(fewest=0), "99 requests are too few"),
        (_promote(fewest=101), "100 requests are enough"),
        (_promote(slower=1.0), "1.5 times as slow is within the rule"),
        (_promote(slower=2.0), "more than 1.5 times as slow"),
        (_promote(waits_first=True), "more requests need not be waited for"),
        (lambda old, new: "roll back" if new["failed"] > 0.02 * new["requests"] else "promote", "99 requests are too"),
        (lambda old, new: _promote()({"requests": 100, "failed": 1, "p95_ms": old["p95_ms"]}, new), "compare it with"),
        (lambda old, new: new["failed"] == 0, "is none of promote, wait, roll back"),
        ("promote", "a function is wanted"),
    ],
}
# Modules with the answers to the exercises of more lessons. To make them all takes ten seconds: not as tests are
# collected, which every worker does.
ANSWERS = (
    "deployment_answers",
    "access_answers",
    "pipeline_answers",
    "batch_run_answers",
    "monitoring_answers",
    "inference_answers",
    "training_answers",
    "image_answers",
    "attached_answers",
    "autoscale_answers",
    "host_answers",
    "kubernetes_answers",
    "local_deployment_answers",
    "capstone_answers",
    "exam_answers",
)
ALL = [exercise.id for lesson in lessons() for exercise in exercises_of(lesson.id)]


@functools.cache
def _right() -> dict[str, list[object]]:
    """Return the right answers to each exercise."""
    return functools.reduce(operator.or_, (importlib.import_module(name).RIGHT for name in ANSWERS), RIGHT)


@functools.cache
def _wrong() -> dict[str, list[tuple[object, str]]]:
    """Return the wrong answers to each exercise, with what has to be said of them."""
    return functools.reduce(operator.or_, (importlib.import_module(name).WRONG for name in ANSWERS), WRONG)


def test_each_exercise_is_tried_with_right_and_wrong_answers() -> None:
    assert set(_right()) == set(_wrong()) == set(ALL)
    assert all(len(answers) >= 2 for answers in (*_right().values(), *_wrong().values()))


@pytest.mark.parametrize("exercise", ALL)
def test_right_answers_are_accepted_in_any_form(exercise: str, subtests: pytest.Subtests) -> None:
    for number, answer in enumerate(_right()[exercise]):
        with subtests.test(number=number):
            result = helpers.check(exercise, answer)
            assert result.ok is True, result.why
            assert result.why


@pytest.mark.slow
@pytest.mark.parametrize("exercise", ALL)
def test_wrong_answers_are_refused_with_a_reason(exercise: str, subtests: pytest.Subtests) -> None:
    for number, (answer, why) in enumerate(_wrong()[exercise]):
        with subtests.test(number=number):
            result = helpers.check(exercise, answer)
            assert result.ok is False
            assert why in result.why


@pytest.mark.parametrize("exercise", ALL)
def test_none_and_nothing_yet(exercise: str) -> None:
    assert helpers.check(exercise, None).ok is False
    assert "the answer is None" in helpers.check(exercise, None).why
    untouched = helpers.check(exercise, ...)
    assert untouched.ok is None
    assert untouched.why.startswith("still to be done. ") and len(untouched.why) > 40


def test_unknown_exercises_and_lessons_are_named_with_those_that_are_there() -> None:
    with pytest.raises(LookupError, match=r'no exercise "first_model/nothing".*first_model/to_request'):
        helpers.check("first_model/nothing", 1)
    for unknown in ("nothing/at_all", "nothing", "", "../../etc"):
        with pytest.raises(LookupError, match=r"There is no lesson .*first_model, .*deploy_with_keys"):
            helpers.check(unknown, 1)


def test_a_verdict_shows_as_text_as_html_and_to_programs() -> None:
    """The mark says what the colour says, and what a learner wrote cannot become markup."""
    shown, metadata = DisplayFormatter().format(CheckResult(False, "use `x` <script>", "lesson/name"))
    assert shown["text/plain"] == "✗ lesson/name: use `x` <script>"
    assert "✗ lesson/name: use <code>x</code> &lt;script&gt;" in shown["text/html"]
    assert metadata == {"exercise": "lesson/name", "ok": False, "why": "use `x` <script>"}


def test_a_quiz_says_of_each_answer_whether_and_why() -> None:
    untouched = str(helpers.quiz("first_model", ["?"] * 5))
    assert untouched.count("○ not answered yet") == 5
    assert untouched.endswith("0 of 5 right.")
    some = str(helpers.quiz("first_model", [" B", "a", "z", "", "?"]))
    assert "✓ An endpoint can have several" in some
    assert "✗ What is registered stays as it is" in some
    assert '○ "z" is none of a, b, c' in some
    assert some.endswith("1 of 5 right.")
    shown, _ = DisplayFormatter().format(helpers.quiz("deploy_with_keys", "?????"))
    assert "&lt;key&gt;" in shown["text/html"]


@pytest.mark.parametrize("answers", [["a"] * 4, "abcabc", []])
def test_a_quiz_wants_an_answer_to_each_question(answers: list[str]) -> None:
    with pytest.raises(ValueError, match=r"The quiz has 5 questions; [046] answers were given"):
        helpers.quiz("first_model", answers)
