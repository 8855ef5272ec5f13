"""The steps of part 3's pipeline, run as the commands that their components name, and the flights that they work on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import pandas as pd
import pytest
import yaml
from sklearn.metrics import roc_auc_score

from helpers import flight_data

FOLDER = Path(__file__).parents[2] / "notebooks" / "03_batch" / "late_flights"


@pytest.fixture(scope="module")
def history() -> pd.DataFrame:
    return flight_data.flights("2013-01-01", "2013-06-30")


@pytest.fixture(scope="module")
def fortnight() -> pd.DataFrame:
    return flight_data.flights("2013-07-01", "2013-07-14")


@pytest.fixture(scope="module")
def model(history: pd.DataFrame) -> Any:
    return flight_data.train_delay_model(history)


@pytest.fixture
def plan(tmp_path: Path, fortnight: pd.DataFrame) -> Path:
    file = tmp_path / "plan.csv"
    fortnight[flight_data.PLAN].to_csv(file, index=False)
    return file


def _run(step: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    script = FOLDER / step / f"{step}.py"
    return subprocess.run([sys.executable, script, *map(str, arguments)], capture_output=True, text=True, check=False)


def _prepare(plan: Path, to: Path, first_day: str = "2013-07-01", days: int = 14) -> subprocess.CompletedProcess[str]:
    return _run("prepare", "--plan", plan, "--first-day", first_day, "--days", days, "--flights", to)


def test_there_are_enough_flights_and_the_plan_holds_nothing_of_the_day_itself(fortnight: pd.DataFrame) -> None:
    assert len(fortnight) >= 10_000
    unknown = {"dep_delay", "arr_delay", "dep_time", "arr_time", "air_time"}
    assert not unknown & {*flight_data.PLAN, *flight_data.FEATURES}
    assert set(flight_data.FEATURES) <= set(flight_data.PLAN)
    assert not fortnight[flight_data.PLAN].isna().any(axis=None)


def test_the_model_is_better_than_chance_on_days_that_it_has_not_seen(model: Any, fortnight: pd.DataFrame) -> None:
    arrived = fortnight[fortnight["arr_delay"].notna()]
    found = model.predict_proba(arrived[flight_data.FEATURES])[:, 1]
    assert 0.65 < roc_auc_score(flight_data.is_late(arrived), found) < 0.8


def test_the_steps_score_every_flight_once(
    tmp_path: Path, plan: Path, model: Any, fortnight: pd.DataFrame, monkeypatch: pytest.MonkeyPatch
) -> None:
    flights, scores, report = tmp_path / "flights", tmp_path / "scores", tmp_path / "report"
    assert _prepare(plan, flights).stdout == f"prepared: {len(fortnight)} flights on 14 days\n"
    (tmp_path / "model").mkdir()
    joblib.dump(model, tmp_path / "model" / "model.joblib")
    score: dict[str, Any] = {}
    exec((FOLDER / "score" / "score.py").read_text(), score)
    monkeypatch.setattr(sys, "argv", ["driver", "--model", str(tmp_path / "model"), "--unknown", "1"])
    score["init"]()
    files = sorted(map(str, flights.glob("*.csv")), reverse=True)
    rows = [row for number in range(0, 14, 2) for row in score["run"](files[number : number + 2])]
    scores.write_text("\n".join(rows) + "\n")

    collected = _run("collect", "--flights", flights, "--scores", scores, "--threshold", 0.4, "--report", report)
    assert collected.stdout.startswith(f"collected: {len(fortnight)} of {len(fortnight)} flights scored")
    predictions = pd.read_csv(report / "predictions.csv")
    keys = flight_data.NAMED_BY
    assert len(predictions) == len(fortnight) and not predictions[keys].duplicated().any()
    assert set(predictions[keys].itertuples(index=False)) == set(fortnight[keys].itertuples(index=False))
    expected = fortnight.assign(p=model.predict_proba(fortnight[flight_data.FEATURES])[:, 1])
    compared = predictions.merge(expected, on=keys)
    assert (compared["probability"] - compared["p"]).abs().max() < 1e-4
    summary = json.loads((report / "summary.json").read_text())
    assert summary["late"] == predictions["late"].sum() == sum(summary["late_by_airport"].values())
    assert not (report / "late_by_hour.csv").exists()


def test_a_model_deployment_finds_the_model_by_its_variable(
    tmp_path: Path, model: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    joblib.dump(model, tmp_path / "model.joblib")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["driver"])
    score: dict[str, Any] = {}
    exec((FOLDER / "score" / "score.py").read_text(), score)
    score["init"]()
    assert score["model"].n_features_in_ == len(flight_data.FEATURES)


def test_a_plan_that_is_not_one_is_refused_with_a_reason(tmp_path: Path, plan: Path) -> None:
    nothing = _prepare(plan, tmp_path / "flights", first_day="2014-07-01")
    assert nothing.returncode and "no flight on the 14 days from 2014-07-01" in nothing.stderr
    lacking = tmp_path / "lacking.csv"
    pd.read_csv(plan).drop(columns=["hour"]).to_csv(lacking, index=False)
    assert "lacks the columns ['hour']" in _prepare(lacking, tmp_path / "flights").stderr


def test_flights_of_a_mini_batch_that_failed_are_missed(tmp_path: Path, plan: Path) -> None:
    flights, scores = tmp_path / "flights", tmp_path / "scores"
    _prepare(plan, flights, days=2)
    scores.write_text("2013-07-02,UA,1,EWR,IAH,5,0.5\n2013-07-01,UA,1,EWR,IAH,5,0.1\n")
    departures = tmp_path / "departures"
    departures.write_text("origin,hour,departures\nEWR,5,40\nJFK,6,20\n")
    more = ["--departures", departures, "--threshold", 0.4, "--report", tmp_path / "report"]
    told = _run("collect", "--flights", flights, "--scores", scores, *more).stdout
    assert told.startswith("collected: 2 of ") and told.endswith("1 of them probably late\n")
    table = pd.read_csv(tmp_path / "report" / "late_by_hour.csv")
    assert table.to_dict("list")["late"] == [1, 0]


def test_the_components_name_scripts_that_are_there_and_use_each_input() -> None:
    for file in FOLDER.glob("*/component.yml"):
        component = yaml.safe_load(file.read_text())
        script = component["task"]["entry_script"] if "task" in component else component["command"].split()[1]
        assert (file.parent / script).is_file()
        text = file.read_text()
        for name in component["inputs"]:
            assert f"${{{{inputs.{name}}}}}" in text
        for name in component["outputs"]:
            assert f"${{{{outputs.{name}}}}}" in text
