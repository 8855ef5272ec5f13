"""What columns of files, SQL and scripts become: the same value in a type that a dataset has, or an error.

Truth: the values themselves, as Python and pandas say them; and that what is taken can be written and read again.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from designer_modules import Dataset
from designer_modules.column_types import known
from designer_modules.data_sources import enter_data_manually, import_data
from designer_modules.dataset import type_of
from designer_modules.metadata import edit_metadata
from designer_modules.python_script import execute_python_script
from designer_modules.sql import execute_sql_transformation
from module_errors import refused

NOON = datetime(2013, 7, 4, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("values", "kind", "same"),
    [
        (["it's", None], "String", ["it's", None]),
        ([True, None], "Boolean", [True, None]),
        ([2**53 + 1, None], "Integer", [2**53 + 1, None]),
        ([1, 2.5], "Double", [1.0, 2.5]),
        ([Decimal("1.5"), None], "Double", [1.5, None]),
        ([date(2013, 7, 4), None], "DateTime", [pd.Timestamp("2013-07-04"), None]),
        ([NOON], "DateTime", [pd.Timestamp("2013-07-04 12:00")]),
    ],
)
def test_objects_become_the_type_that_all_of_them_have(
    values: list[Any], kind: str, same: list[Any], tmp_path: Path
) -> None:
    frame = known(pd.DataFrame({"a": pd.Series(values, dtype=object)}))
    Dataset(frame).save(tmp_path)
    for column in (frame["a"], Dataset.load(tmp_path).frame["a"]):
        assert type_of(column) == kind
        assert [None if pd.isna(value) else value for value in column] == same


@pytest.mark.parametrize(
    "values",
    [[1, "x"], [True, 1], [[1], [2]], [{"a": 1}], [time(12)], [timedelta(1)], [b"x"], [1j], [2**70]],
    ids=str,
)
def test_what_a_dataset_cannot_hold_is_refused(values: list[Any]) -> None:
    with refused(17, column="a"):
        known(pd.DataFrame({"a": pd.Series(values, dtype=object)}))


@pytest.mark.parametrize(
    "column",
    [
        pd.to_timedelta([1, 2], unit="s"),
        pd.period_range("2013", periods=2, freq="D"),
        np.array([1j, 2]),
        pd.Categorical(pd.to_datetime(["2013-07-04"])),
    ],
    ids=["duration", "period", "complex", "category"],
)
def test_columns_of_other_types_are_refused(column: Any) -> None:
    with refused(17, column="a"):
        known(pd.DataFrame({"a": column}))


def test_times_in_a_zone_are_in_utc_as_those_of_a_request_are(tmp_path: Path) -> None:
    zoned = pd.date_range("2013-07-04 08:00", periods=2, freq="h", tz="America/New_York")
    pd.DataFrame({"t": zoned}).to_parquet(tmp_path / "flights.parquet")
    read = import_data(tmp_path)
    assert read.frame["t"].tolist() == [pd.Timestamp("2013-07-04 12:00"), pd.Timestamp("2013-07-04 13:00")]


def test_booleans_with_gaps_in_parquet_are_booleans(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.table({"late": [True, None]}), tmp_path / "flights.parquet")
    assert type_of(import_data(tmp_path).frame["late"]) == "Boolean"


def test_a_long_file_has_one_type_a_column() -> None:
    """pandas reads a long file in parts, and types each of them by itself unless it is told not to."""
    lines = ["1"] * 600_000 + ["x"]
    column = enter_data_manually("\n".join(["a", *lines])).frame["a"]
    assert set(map(type, column)) == {str}


def test_a_scripts_mixed_column_is_named_at_once() -> None:
    script = "def azureml_main(dataframe1, dataframe2=None):\n    return dataframe1.assign(mixed=[1, 'x'])"
    with refused(17, column="mixed"):
        execute_python_script(Dataset(pd.DataFrame({"a": [1, 2]})), python_script=script)


@pytest.mark.parametrize("value", ["[1, 2]", "time '12:00'", "interval 1 day", "uuid()", "'x'::blob"])
def test_what_a_query_makes_that_no_dataset_holds_is_refused(value: str) -> None:
    with refused(17, column="odd"):
        execute_sql_transformation(Dataset(pd.DataFrame({"a": [1]})), f"select {value} as odd from t1")


def test_a_joins_rows_stay_in_order() -> None:
    rows, keys = 300_000, 1000
    flights = Dataset(pd.DataFrame({"number": np.arange(rows), "key": np.arange(rows) % keys}))
    weather = Dataset(pd.DataFrame({"key": np.arange(keys)[::-1], "wind": np.arange(keys)}))
    joined = execute_sql_transformation(flights, "select t1.*, wind from t1 join t2 using (key)", weather)
    assert joined.frame["number"].is_monotonic_increasing


def test_times_are_no_categories() -> None:
    with refused(17, column="t"):
        edit_metadata(Dataset(pd.DataFrame({"t": pd.to_datetime(["2013-07-04"])})), "t", categorical="Categorical")
