"""Right and wrong answers to the exercises on a deployment's settings, and to those of the clinic."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import requests
from azure.ai.ml.entities import ManagedOnlineDeployment, OnlineRequestSettings, ProbeSettings

import helpers
from helpers.loads import Answer


def _instances(utilized: bool = True, rounded: Callable[[float], float] = math.ceil, shared: bool = True) -> Any:
    """A function that computes as Microsoft does, or one with a plausible fault."""

    def answer(per_second: float, seconds: float, concurrency: int, utilization: float = 0.7) -> float:
        at_once = per_second * seconds / (utilization if utilized else 1)
        return rounded(at_once / (concurrency if shared else 1))

    return answer


def _heavy(**changed: Any) -> ManagedOnlineDeployment:
    patient = ProbeSettings(initial_delay=30, period=10, failure_threshold=60)
    fitting = {
        "instance_type": "Standard_DS3_v2",
        "instance_count": 3,
        "environment_variables": {"WORKER_COUNT": "4"},
        "request_settings": _settings(),
        "readiness_probe": patient,
        "liveness_probe": patient,
    }
    return ManagedOnlineDeployment(name="heavy", endpoint_name="e", **{**fitting, **changed})


def _settings(milliseconds: int | None = 60_000, at_once: int | None = 4) -> OnlineRequestSettings:
    return OnlineRequestSettings(request_timeout_ms=milliseconds, max_concurrent_requests_per_instance=at_once)


def _load(*answered: tuple[float, str], status: int = 200) -> Any:
    """A load as it is after its end, with an answer for each pair of seconds and worker."""
    load = helpers.load("https://e.eastus.inference.ml.azure.com/score", "k1", {})
    load._answers += [
        Answer(seconds, status, 100.0, "blue", "", json.dumps({"worker": worker}) if status == 200 else "")
        for seconds, worker in answered
    ]
    return load


def _workers(first: int, last: int, seconds: float = 5.0) -> list[tuple[float, str]]:
    """Ten answers a second, of ``first`` workers until two seconds before the end, and then of ``last``."""
    numbers = range(int(seconds * 10))
    return [(n / 10, f"w{n % (first if n / 10 < seconds - 2 else last)}") for n in numbers]


def _cured(patient: str, status: int = 200, body: object = (0, 1, 2)) -> requests.Response:
    response = requests.Response()
    response.status_code = status
    response._content = json.dumps(body).encode()
    asked = {"azureml-model-deployment": patient} if patient else {}
    response.request = requests.Request("POST", "https://e.eastus.inference.ml.azure.com/score", asked).prepare()
    return response


CAUSES = {
    "dov": "missing package",
    "eva": "slow init",
    "finn": "memory",
    "gus": "bad probe",
    "hana": "wrong output type",
}


def _wrong_cures(patient: str, cause: str) -> list[tuple[object, str]]:
    other = "import error" if cause != "import error" else "memory"
    return [
        (cause, "a pair is wanted"),
        ((cause, 200), "the response; this is of type int"),
        ((cause, _cured(patient, 424, {})), f"{patient} answered 424: not yet cured"),
        ((cause, _cured("ada")), f"an answer of ada, not of {patient}"),
        ((cause, _cured("")), "an answer of whoever has the traffic"),
        ((cause, _cured(patient, body=[0, 0, 0])), "the wines are of the cultivars [0, 1, 2], not [0, 0, 0]"),
        ((other, _cured(patient)), f"{patient} is cured, but {other}?"),
        (("bad luck", _cured(patient)), '"bad luck" is none of import error, missing package'),
    ]


RIGHT: dict[str, list[object]] = {
    "configure_a_deployment/instances": [
        _instances(),
        _instances(rounded=lambda number: -int(-number // 1)),
        lambda r, s, c, utilization=0.7: float(math.ceil(r * s / (utilization * c))),
    ],
    "configure_a_deployment/heavy": [
        _heavy(),
        _heavy(instance_type="standard_f4s_v2", instance_count=2, environment_variables={"WORKER_COUNT": 4}),
        _heavy(request_settings=_settings(180_000), liveness_probe=ProbeSettings(initial_delay=480)),
    ],
    "configure_a_deployment/calm": [
        _load(*_workers(1, 3)),
        _load(*_workers(2, 6)),
        _load(*_workers(1, 3)[-23:]),  # the instances were there in no time
    ],
    **{
        f"deployment_clinic/{patient}": [
            (cause, _cured(patient)),
            [cause.upper().replace(" ", "_"), _cured(patient)],
        ]
        for patient, cause in CAUSES.items()
    },
}

WRONG: dict[str, list[tuple[object, str]]] = {
    "configure_a_deployment/instances": [
        (286, "a function is wanted, this is of type int"),
        (_instances(utilized=False), "286 are needed, your function says 200"),
        (_instances(rounded=lambda number: number), "There are no parts of one"),
        (_instances(rounded=math.floor), "286 are needed, your function says 285"),
        (_instances(shared=False), "100 requests a second of 0.05 s each, 4 at once"),
        (lambda r, s, c, u: math.ceil(r * s / u / c), "TypeError was raised"),
        (lambda r, s, c, u=1.0: math.ceil(r * s / u / c), "it should take 0.7"),
        (lambda r, s, c, u=0.7: math.ceil(r * s / 0.7 / c), "utilization 1.0: 1 are needed"),
    ],
    "configure_a_deployment/heavy": [
        ({"instance_count": 3}, "a `ManagedOnlineDeployment` is wanted"),
        (_heavy(instance_type="Standard_DS2_v2"), "Standard_DS2_v2 has 2 processors and 7 GiB"),
        (_heavy(instance_type="Standard_Large"), "not in vm_sizes.csv"),
        (_heavy(instance_count=1), "with a single instance"),
        (_heavy(environment_variables={}), "1 of the four processors"),
        (_heavy(request_settings=_settings(at_once=None)), "4 workers, and each instance is given 1"),
        (_heavy(request_settings=_settings(None)), "after 5 the caller gets 408"),
        (_heavy(request_settings=_settings(20_000)), "When does the second begin"),
        (_heavy(request_settings=_settings(200_000)), "more than a managed endpoint allows"),
        (_heavy(readiness_probe=None), "`readiness_probe` gives up after 310"),
        (_heavy(liveness_probe=ProbeSettings(initial_delay=60)), "`liveness_probe` gives up after 360"),
    ],
    "configure_a_deployment/calm": [
        ({200: 50}, "the load itself is wanted"),
        (_load(*_workers(1, 3), status=429), "50 requests failed"),
        (_load(*_workers(1, 3)[:10]), "only 10 requests were sent"),
        (_load(*_workers(1, 2)), "in the last second 2 workers answered"),
        (_load(*_workers(3, 3)), "three instances from the beginning"),
    ],
    **{f"deployment_clinic/{patient}": _wrong_cures(patient, cause) for patient, cause in CAUSES.items()},
}
