"""Right and wrong answers to the exercises on publishing inference pipelines, real-time and batch."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import requests
from sklearn.metrics import brier_score_loss, log_loss

from helpers.checks.publish_and_consume import DAY
from helpers.flight_data import flight_tables

CHOICES = {"gate": "managed", "hangar": "kubernetes", "month": "batch", "trial": "local", "notes": "kubernetes"}
WAYS = {"gate": "real-time", "month": "batch", "audit": "batch", "rebook": "real-time", "crews": "both"}


def _body(rows: Any, parameters: bool = True) -> dict[str, Any]:
    more = {"GlobalParameters": {}} if parameters else {}
    return {"Inputs": {"WebServiceInput0": rows}, **more}


def _by_pandas(table: pd.DataFrame) -> dict[str, Any]:
    return _body(json.loads(table.drop(columns="late").to_json(orient="records")))


def _by_loop(table: pd.DataFrame) -> dict[str, Any]:
    rows = []
    for _, row in table.drop(columns="late").iterrows():
        rows.append({name: None if pd.isna(value) else _plain(value) for name, value in row.items()})
    return _body(rows, parameters=False)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _by_where(table: pd.DataFrame) -> dict[str, Any]:
    rows = table.drop(columns="late").astype(object)
    return _body(rows.where(rows.notna(), None).to_dict(orient="records"))


def _kept(table: pd.DataFrame) -> dict[str, Any]:
    rows = table.astype(object)
    return _body(rows.where(rows.notna(), None).to_dict(orient="records"))


def _filled(table: pd.DataFrame) -> dict[str, Any]:
    rows = table.drop(columns="late").fillna({"tailnum": "", "hour": 0})
    return _body(json.loads(rows.to_json(orient="records")))


@functools.cache
def _flights_of_the_day() -> pd.DataFrame:
    return flight_tables(DAY, DAY, fast=False)["flights"]


def _flown(count: int | None = None, label: bool = False, status: int = 200, answers: int = 0) -> requests.Response:
    """The response to a request with flights of the day."""
    table = _flights_of_the_day()
    rows = table if label else table.drop(columns="late")
    body = _body(json.loads(rows.head(count or len(rows)).to_json(orient="records")))
    response = requests.Response()
    response.status_code = status
    scored = [{"Scored Labels": 0}] * (answers or len(rows))
    response._content = json.dumps({"Results": {"WebServiceOutput0": scored}}).encode()
    response.request = requests.Request("POST", "https://late.eastus.inference.ml.azure.com/score", json=body).prepare()
    return response


def _sorted_by_row(rows: bool = True, sets: Any = set, others: bool = False) -> Callable[[Any], Any]:
    """A function that says what to mend, or one with a plausible fault."""

    def answer(said: Any) -> Any:
        found: dict[Any, Any] = {}
        for one in said.get("error", {}).get("details", []):
            if "column" in one or others:
                key = one.get("row") if rows else 0
                found[key] = sets([*found.get(key, ()), one.get("column")])
        return found

    return answer


def _last_only(said: Any) -> Any:
    return {one.get("row"): {one["column"]} for one in said.get("error", {}).get("details", []) if "column" in one}


def _falsy(said: Any) -> Any:
    found: dict[Any, Any] = {}
    for one in said.get("error", {}).get("details", []):
        if one.get("row") and "column" in one:
            found.setdefault(one["row"], set()).add(one["column"])
        elif "column" in one:
            found.setdefault(None, set()).add(one["column"])
    return found


def _by(measure: Callable[[Any, Any], float], ties: bool = False) -> Callable[[Any, Any, Any], str]:
    """A function that prefers the version with the smaller measure."""

    def answer(truth: pd.Series, old: pd.Series, new: pd.Series) -> str:
        known = truth.notna()
        of_old, of_new = (measure(truth[known], one[known]) for one in (old, new))
        return "version-2" if of_new < of_old or (ties and of_new == of_old) else "version-1"

    return answer


def _accuracy(truth: pd.Series, probability: pd.Series) -> float:
    return -float(((probability > 0.5) == truth).mean())


def _filling(truth: pd.Series, old: pd.Series, new: pd.Series) -> str:
    return _by(brier_score_loss)(truth.fillna(1), old, new)


def _endpoint(default: str | None) -> Any:
    return SimpleNamespace(defaults=SimpleNamespace(deployment_name=default))


RIGHT: dict[str, list[object]] = {
    "publish_and_consume/choices": [CHOICES, {key: value.title() for key, value in CHOICES.items()}],
    "publish_and_consume/request_of": [_by_pandas, _by_loop, _by_where],
    "publish_and_consume/to_mend": [_sorted_by_row(), _sorted_by_row(sets=list), _sorted_by_row(sets=frozenset)],
    "publish_and_consume/whole_day": [_flown(), _flown()],
    "batch_inference_pipeline/ways": [WAYS, {**WAYS, "gate": "Real time", "rebook": "realtime"}],
    "batch_inference_pipeline/bad_column": [
        "distance",
        "Distance",
        "Error 0017: 'n/a' is no number. (column 'distance')",
    ],
    "batch_inference_pipeline/better": [
        _by(brier_score_loss),
        _by(lambda truth, probability: float(((truth - probability) ** 2).mean())),
        _by(log_loss),
    ],
    "batch_inference_pipeline/rolled_back": [_endpoint("version-1"), SimpleNamespace(**vars(_endpoint("version-1")))],
}
WRONG: dict[str, list[tuple[object, str]]] = {
    "publish_and_consume/choices": [
        ({**CHOICES, "gate": "batch"}, "gate: somebody waits"),
        ({**CHOICES, "month": "managed"}, "month: nobody waits"),
        ({**CHOICES, "notes": "managed"}, "notes: an inference cluster was AKS"),
        ({**CHOICES, "trial": "aci"}, "trial: aci is none of managed"),
        ({"gate": "managed"}, "hangar is missing"),
        (list(CHOICES), "a dictionary is wanted"),
    ],
    "publish_and_consume/request_of": [
        (lambda table: _body(table.drop(columns="late").to_dict(orient="records")), "cannot be sent as JSON"),
        (_kept, "`late` is sent along"),
        (_filled, "row 1: tailnum is None in the table, and '' in the request"),
        (lambda table: _body(json.loads(table.drop(columns="late").to_json())), "a list is wanted"),
        (lambda table: _by_pandas(table.dropna()), "the table has 2 rows, the request 1"),
        (lambda table: {"data": []}, 'the rows belong in `body["Inputs"]["WebServiceInput0"]`'),
        (lambda table: json.dumps(_by_pandas(table)), "the body as a dictionary is wanted"),
        (_by_pandas(pd.DataFrame({"late": [0]})), "a function is wanted"),
    ],
    "publish_and_consume/to_mend": [
        (_last_only, "a row can have several wrong columns"),
        (_falsy, "the first is a row like any other"),
        (_sorted_by_row(rows=False), "one column of one row"),
        (_sorted_by_row(others=True), "no column is named"),
        (lambda said: {2: "hour"}, "each row has a set of columns"),
        (lambda said: [one["column"] for one in said["error"]["details"]], "a dictionary is wanted"),
        ({"hour"}, "a function is wanted"),
    ],
    "publish_and_consume/whole_day": [
        (_flown(1), "the request has 1 rows"),
        (_flown(label=True), "`late` was sent along"),
        (_flown(status=401), "it was answered 401"),
        (_flown(answers=3), "3 rows came back"),
        (_flown().json(), "the response itself is wanted"),
    ],
    "batch_inference_pipeline/ways": [
        ({**WAYS, "month": "real-time"}, "month: 27,000 rows"),
        ({**WAYS, "crews": "batch"}, "crews: the plan for tomorrow"),
        ({**WAYS, "audit": "online"}, "audit: online is none of real-time, batch, both"),
        ({"gate": "real-time"}, "month is missing"),
        ("batch", "a dictionary is wanted"),
    ],
    "batch_inference_pipeline/bad_column": [
        ("carrier", "'carrier' is not what the failed step says"),
        ("Completed", "'Completed' is not what the failed step says"),
        ("Error 0001: Column 'distance' is not there; there are: carrier, miles.", "the log of August"),
        (["carrier", "distance"], "these are several columns"),
    ],
    "batch_inference_pipeline/better": [
        (_by(_accuracy), "none is over 0.5, and yet they differ"),
        (_by(brier_score_loss, ties=True), "both are equal, and a change wants a reason"),
        (_filling, "two of the flights never arrived"),
        (_by(lambda truth, probability: -brier_score_loss(truth, probability)), "nearer to the truth each time"),
        (lambda truth, old, new: brier_score_loss(truth.dropna(), new[truth.notna()]), "it says 0.0"),
        (lambda truth, old, new: "version-2", "the old one is nearer to the truth each time"),
        ("version-2", "a function is wanted"),
    ],
    "batch_inference_pipeline/rolled_back": [
        (_endpoint("version-2"), "its default is version-2"),
        (_endpoint(None), "the endpoint is wanted"),
        ("version-1", "the endpoint is wanted"),
    ],
}
