"""The scripts that the lessons on batch runs deploy, called as a worker process of Azure's calls them."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
from PIL import Image, UnidentifiedImageError
from sklearn.datasets import load_digits
from sklearn.dummy import DummyClassifier
from sklearn.neighbors import KNeighborsClassifier

from helpers import flight_data

FOLDER = Path(__file__).parents[2] / "notebooks" / "03_batch"
PAGES = 40


def _script(path: str) -> ModuleType:
    specification = importlib.util.spec_from_file_location("entry_script", FOLDER / path)
    assert specification is not None and specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    return script


@pytest.fixture
def pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Scanned pages, and a model that knows others."""
    digits = load_digits()
    model = KNeighborsClassifier().fit(digits.data[PAGES:], digits.target[PAGES:])
    joblib.dump(model, tmp_path / "digits.joblib")
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(tmp_path))
    (tmp_path / "output").mkdir()
    monkeypatch.setenv("AZUREML_BI_OUTPUT_PATH", str(tmp_path / "output"))
    made = []
    for number, image in enumerate(digits.images[:PAGES]):
        made.append(str(tmp_path / f"page-{number:04}.png"))
        Image.fromarray((image * 15).astype("uint8")).save(made[-1])
    return made


def _break(page: str) -> None:
    Path(page).write_bytes(b"Paper jam.")


def test_a_page_is_read_as_the_image_that_it_was_made_of(pages: list[str]) -> None:
    script = _script("page_scoring/score.py")
    script.init()
    rows = script.run(pages)
    assert list(rows.columns) == ["page", "digit", "sure"]
    assert list(rows["page"]) == [Path(page).name for page in pages]
    assert list(rows["digit"]) == list(script.model.predict(load_digits().data[:PAGES]))
    assert (rows["digit"] == load_digits().target[:PAGES]).mean() > 0.9
    assert rows["sure"].between(0.2, 1).all()


def test_an_unreadable_page_fails_its_mini_batch(pages: list[str]) -> None:
    script = _script("page_scoring/score.py")
    script.init()
    _break(pages[3])
    with pytest.raises(UnidentifiedImageError, match=r"page-0003\.png"):
        script.run(pages[:5])


def test_a_slow_model_can_be_pretended(pages: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECONDS_PER_PAGE", "0.25")
    script = _script("page_scoring/score.py")
    script.init()
    slept: list[float] = []
    monkeypatch.setattr(script.time, "sleep", slept.append)
    script.run(pages[:4])
    assert slept == [1.0]


def test_the_tables_have_a_row_for_each_page_and_say_which_cannot_be_read(pages: list[str], tmp_path: Path) -> None:
    script = _script("page_tables/score.py")
    script.init()
    _break(pages[3])
    assert len(script.run(pages[:20])) == 20 and len(script.run(pages[20:])) == 20
    files = sorted((tmp_path / "output").iterdir())
    assert [file.name for file in files] == ["page-0000.parquet", "page-0020.parquet"]
    table = pd.read_parquet(tmp_path / "output")
    assert len(table) == PAGES and table["page"].nunique() == PAGES
    (bad,) = table[table["problem"].notna()].to_dict(orient="records")
    assert bad["page"] == "page-0003.png" and bad["problem"] == "UnidentifiedImageError"
    assert pd.isna(bad["digit"]) and pd.isna(bad["sure"])


def test_the_script_of_version_1_says_what_that_of_version_2_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    day = flight_data.flights("2013-07-01", "2013-07-01")
    files = [str(tmp_path / f"{name}.csv") for name in ("morning", "evening")]
    for file, part in zip(files, np.array_split(np.arange(len(day)), 2), strict=True):
        day.iloc[part][flight_data.PLAN].to_csv(file, index=False)
    (tmp_path / "model").mkdir()
    guess = DummyClassifier().fit(day[flight_data.FEATURES], flight_data.is_late(day))
    joblib.dump(guess, tmp_path / "model" / "model.joblib")
    monkeypatch.setattr(sys, "argv", ["driver", "--model", str(tmp_path / "model"), "--unknown", "1"])
    rows: dict[str, list[Any]] = {}
    for path in ("v1_night/score_flights.py", "late_flights/score/score.py"):
        script = _script(path)
        script.init()
        rows[path] = script.run(files)
    assert len(day) == len(rows["v1_night/score_flights.py"])
    assert rows["v1_night/score_flights.py"] == rows["late_flights/score/score.py"]
    assert "run method start" in capsys.readouterr().out
