"""The component that part 4's first lesson adds to the library: its declaration, and ten lines."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from designer_modules import LABEL, Dataset, ModuleError, registry

import designer

FOLDER = Path(__file__).parents[2] / "notebooks" / "04_designer" / "flight_components"


@pytest.fixture
def time_of_day(monkeypatch: pytest.MonkeyPatch) -> registry.Function:
    monkeypatch.syspath_prepend(str(FOLDER))
    return registry.find(designer.Library(FOLDER)["time_of_day"].module)


def test_the_library_has_it_beside_its_own() -> None:
    library = designer.Library(FOLDER)
    assert set(library) == {*designer.Library(), "time_of_day"}
    assert designer.load_components(str(FOLDER)).time_of_day.display_name == "Time of Day"


def test_each_hour_is_in_a_part_of_the_day(time_of_day: registry.Function) -> None:
    dataset = Dataset(pd.DataFrame({"hour": [0, 5, 6, 11, 12, 17, 18, 23], "late": 0}), {"late": LABEL})
    (result,) = registry.call(time_of_day, {"dataset": dataset})
    parts = [part for part in ("night", "morning", "afternoon", "evening") for _ in range(2)]
    assert result.frame["time_of_day"].tolist() == parts
    assert result.label == "late" and "time_of_day" not in dataset.frame
    (one,) = registry.call(time_of_day, {"dataset": Dataset(pd.DataFrame({"hour": [18]}))})
    assert one.frame["time_of_day"].cat.categories.tolist() == ["night", "morning", "afternoon", "evening"]


def test_a_column_that_is_not_there_is_named(time_of_day: registry.Function) -> None:
    with pytest.raises(ModuleError, match=r"Error 0001: .*'hours'"):
        registry.call(time_of_day, {"dataset": Dataset(pd.DataFrame({"hour": [1]})), "hour_column": "hours"})
