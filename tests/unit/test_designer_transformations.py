r"""Components that change a dataset, put two together, or take some of its rows.

Truth: pandas, DuckDB (joins) and scikit-learn called directly; select-columns-in-dataset, edit-metadata, join-data,
add-columns, add-rows, split-data, partition-and-sample, remove-duplicate-rows and summarize-data of
https://learn.microsoft.com/azure/machine-learning/component-reference.
"""

from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from designer_modules import LABEL, Dataset
from designer_modules.joining import FULL, INNER, LEFT, SEMI, add_columns, add_rows, join_data
from designer_modules.metadata import edit_metadata
from designer_modules.sampling import partition_and_sample
from designer_modules.splitting import split_data
from designer_modules.summary import summarize_data
from designer_modules.transformations import remove_duplicate_rows, select_columns_in_dataset
from module_errors import refused
from pandas.testing import assert_frame_equal
from sklearn.model_selection import train_test_split

PEOPLE = Dataset(
    pd.DataFrame(
        {
            "name": ["Ann", "bob", None, "Cid", "Dee"],
            "age": [30, 41, 52, 41, 35],
            "score": [0.5, np.nan, 2.5, 3.5, 1.0],
            "since": pd.to_datetime(["2010-05-01", "2012-01-01", "2013-06-30", None, "2011-01-01"]),
        }
    ),
    {"age": LABEL},
)
CITIES = Dataset(
    pd.DataFrame({"who": ["ann", "bob", "bob", None, "Eve"], "age": [1, 2, 3, 4, 5], "city": list("abcde")}),
    {"city": "not_a_feature"},
)


def _values(column: pd.Series) -> list[Any]:
    """A column's values, None where one is missing."""
    return [None if missing else value for value, missing in zip(column, column.isna(), strict=True)]


def without_age(dataset: Dataset) -> Dataset:
    return dataset.with_frame(dataset.frame.drop(columns="age"))


# --- Select Columns in Dataset ---


def test_selected_columns_come_in_the_datasets_order_or_in_ones_own() -> None:
    assert list(select_columns_in_dataset(PEOPLE, "score,name").frame.columns) == ["name", "score"]
    assert list(select_columns_in_dataset(PEOPLE, "score,name", True).frame.columns) == ["score", "name"]
    with refused(11, "'categorical'"):
        select_columns_in_dataset(PEOPLE, "categorical")


# --- Edit Metadata ---


@pytest.mark.parametrize(
    ("values", "data_type", "result", "type"),
    [
        ([1, 2], "String", ["1", "2"], "String"),
        ([1.5, None], "String", ["1.5", None], "String"),
        ([True, False], "String", ["True", "False"], "String"),
        (["1", " 2"], "Integer", [1, 2], "Integer"),
        ([1.0, None], "Integer", [1, None], "Integer"),
        ([True, False], "Integer", [1, 0], "Integer"),
        (["1e3", None], "Double", [1000, None], "Double"),
        (pd.Categorical(["2", "1"]), "Double", [2, 1], "Double"),
        (pd.Categorical([2, None]), "Double", [2, None], "Double"),
        (["TRUE", "0"], "Boolean", [True, False], "Boolean"),
        ([1.0, None], "Boolean", [True, None], "Boolean"),
        (["2020-01-01", "2020-01-01T10:00"], "DateTime", ["2020-01-01 00:00", "2020-01-01 10:00"], "DateTime"),
        ([0, 86400], "DateTime", ["1970-01-01", "1970-01-02"], "DateTime"),
        (pd.to_datetime(["1970-01-02", None]), "Double", [86400, None], "Double"),
    ],
)
def test_columns_get_another_type(values: Any, data_type: str, result: list[Any], type: str) -> None:
    edited = edit_metadata(Dataset(pd.DataFrame({"a": values})), "a", data_type)
    assert edited.schema()["columns"][0]["type"] == type
    assert _values(edited.frame["a"]) == [pd.Timestamp(one) if type == "DateTime" else one for one in result]


@pytest.mark.parametrize(
    ("values", "data_type", "row", "words"),
    [
        (["1", "x"], "Integer", 1, "'x' cannot be converted to a number"),
        ([1.0, 1.5], "Integer", 1, "1.5 cannot be converted to a whole number"),
        (["yes"], "Boolean", 0, "'yes' is neither true nor false"),
        ([2], "Boolean", 0, "2 is neither true nor false"),
        (["2020-01-01", "1.2.2020"], "DateTime", 1, "'1.2.2020' is no time of the format ISO 8601"),
    ],
)
def test_a_value_that_is_not_of_the_type_is_named(values: list[Any], data_type: str, row: int, words: str) -> None:
    with refused(42, words, column="a", row=row):
        edit_metadata(Dataset(pd.DataFrame({"a": values})), "a", data_type)


def test_times_have_a_format_of_their_own() -> None:
    edited = edit_metadata(Dataset(pd.DataFrame({"a": ["1.2.2020"]})), "a", "DateTime", "%d.%m.%Y")
    assert edited.frame["a"].tolist() == [pd.Timestamp("2020-02-01")]


def test_numbers_become_categories_and_numbers_again() -> None:
    categorical = edit_metadata(PEOPLE, "age", categorical="Categorical")
    assert categorical.schema()["columns"][1]["categories"] == [30, 35, 41, 52]
    assert_frame_equal(edit_metadata(categorical, "age", categorical="NonCategorical").frame, PEOPLE.frame)


@pytest.mark.parametrize(
    ("roles", "fields", "expected"),
    [
        ({}, "Labels", {"age": "label"}),
        ({"name": "label"}, "Labels", {"age": "label"}),
        ({"age": "label"}, "Features", {}),
        ({}, "Clear feature", {"age": "not_a_feature"}),
        ({"age": "label"}, "Clear label", {}),
        ({"age": "scored_label"}, "Clear label", {"age": "scored_label"}),
        ({"age": "scored_label"}, "Clear score", {}),
        ({"age": "label"}, "Unchanged", {"age": "label"}),
    ],
)
def test_columns_get_another_use(roles: dict[str, str], fields: str, expected: dict[str, str]) -> None:
    assert edit_metadata(Dataset(PEOPLE.frame, roles), "age", fields=fields).roles == expected


def test_columns_get_other_names_and_keep_their_use() -> None:
    edited = edit_metadata(PEOPLE, "name,age", new_column_names="Name, Years")
    assert list(edited.frame.columns) == ["Name", "Years", "score", "since"]
    assert edited.label == "Years"


def test_the_label_is_edited_whether_or_not_it_is_there() -> None:
    edited = edit_metadata(without_age(PEOPLE), "age,name", new_column_names="Years,Name", fields="Features")
    assert list(edited.frame.columns) == ["Name", "score", "since"]
    assert edit_metadata(without_age(PEOPLE), "age", new_column_names="Years").label == "Years"


def test_a_new_name_may_hold_a_comma_and_a_column_may_be_called_as_pythons_own() -> None:
    edited = edit_metadata(Dataset(pd.DataFrame({"self": [1]})), "self", "Double", new_column_names='["a, b"]')
    assert edited.frame.to_dict("list") == {"a, b": [1.0]}


@pytest.mark.parametrize(
    ("options", "code"),
    [
        ({"new_column_names": "one"}, 7),
        ({"new_column_names": "one, "}, 3),
        ({"new_column_names": "score,x"}, 28),
        ({"fields": "Labels"}, 37),
        ({"data_type": "Complex"}, 8),
    ],
)
def test_metadata_that_cannot_be_are_refused(options: dict[str, str], code: int) -> None:
    with refused(code):
        edit_metadata(PEOPLE, "name,age", **options)


# --- Join Data, Add Columns, Add Rows ---


@pytest.mark.parametrize("match_case", [True, False])
@pytest.mark.parametrize(
    ("join_type", "sql"), [(INNER, "JOIN"), (LEFT, "LEFT JOIN"), (FULL, "FULL JOIN"), (SEMI, "SEMI JOIN")]
)
@pytest.mark.parametrize("key", ["text", "categories", "whole and real", "two"])
def test_rows_are_joined_as_a_database_joins_them(join_type: str, sql: str, match_case: bool, key: str) -> None:
    left, right = PEOPLE.frame, CITIES.frame
    keys = {"text": [("name", "who")], "categories": [("name", "who")], "whole and real": [("score", "age")]}.get(
        key, [("name", "who"), ("score", "age")]
    )
    if key == "categories":
        left, right = left.astype({"name": "category"}), right.astype({"who": "category"})
    joined = join_data(
        Dataset(left), Dataset(right), *(",".join(names) for names in zip(*keys, strict=True)), match_case, join_type
    )
    fold = "" if match_case else "lower"
    on = " AND ".join(f"{fold}(l.{a}) = {fold}(r.{b})" if a == "name" else f"l.{a} = r.{b}" for a, b in keys)
    selected = "l.*" if join_type == SEMI else 'l.*, r.who, r.age AS "age (2)", r.city'
    connection = duckdb.connect()
    connection.register("l", left)
    connection.register("r", right)
    expected = connection.execute(f"SELECT {selected} FROM l {sql} r ON {on}").df()
    assert list(joined.frame.columns) == list(expected.columns)
    assert _rows(joined.frame) == _rows(expected)


def _rows(frame: pd.DataFrame) -> list[tuple[str, ...]]:
    """The rows of a table, in an order that is the same for equal tables."""
    columns = [[_text(value) for value in _values(frame[name])] for name in frame.columns]
    return sorted(zip(*columns, strict=True))


def _text(value: Any) -> str:
    """A value, a number as a real one: a column of whole numbers with gaps is one of real numbers in pandas."""
    return str(float(value) if isinstance(value, (int, float, np.number)) else value)


def test_joined_rows_keep_the_order_of_the_left_and_its_label() -> None:
    joined = join_data(PEOPLE, CITIES, "name", "who", False, LEFT, False)
    assert joined.frame["name"].tolist() == ["Ann", "bob", "bob", np.nan, "Cid", "Dee"]
    assert list(joined.frame.columns) == ["name", "age", "score", "since", "age (2)", "city"]
    assert joined.roles == {"age": "label", "city": "not_a_feature"}


@pytest.mark.parametrize(
    ("left", "right", "code", "where"),
    [
        ("nobody", "who", 1, {"column": "nobody", "port": "dataset1"}),
        ("name", "nobody", 1, {"column": "nobody", "port": "dataset2"}),
        ("name", "age", 154, {"column": "name"}),
        ("name,age", "who", 154, {}),
        ("", "who", 11, {"port": "dataset1"}),
    ],
)
def test_keys_that_do_not_fit_are_refused(left: str, right: str, code: int, where: dict[str, Any]) -> None:
    with refused(code, **where):
        join_data(PEOPLE, CITIES, left, right)


def test_columns_are_put_beside_each_other() -> None:
    added = add_columns(PEOPLE, CITIES.with_frame(CITIES.frame.head(2)))
    assert list(added.frame.columns) == ["name", "age_1", "score", "since", "who", "age_2", "city"]
    assert added.label == "age_1"
    assert added.frame["city"].tolist() == ["a", "b", np.nan, np.nan, np.nan]


def test_rows_are_put_below_each_other() -> None:
    assert_frame_equal(add_rows(PEOPLE, PEOPLE).frame, pd.concat([PEOPLE.frame] * 2, ignore_index=True))
    first, second = (Dataset(pd.DataFrame({"a": pd.Categorical(values)})) for values in (["x"], ["y", "x"]))
    assert add_rows(first, second).schema()["columns"][0]["categories"] == ["x", "y"]
    with refused(10, "name, age, score, since; who, age, city"):
        add_rows(PEOPLE, CITIES)
    with refused(16, "Integer in dataset1, String in dataset2", column="age"):
        add_rows(PEOPLE, PEOPLE.with_frame(PEOPLE.frame.astype({"age": "str"})))


# --- Split Data ---

HUNDRED = Dataset(pd.DataFrame({"n": np.arange(100), "kind": ["a"] * 80 + ["b"] * 20}), {"kind": LABEL})


@pytest.mark.parametrize("options", [{}, {"random_seed": 3}, {"randomized_split": False}, {"stratified_split": True}])
def test_rows_are_split_once_each_in_their_order(options: dict[str, Any]) -> None:
    first, second = split_data(
        HUNDRED,
        "Split Rows",
        0.7,
        **{"stratification_key_column": "label", **options},  # type: ignore[arg-type]
    )
    assert len(first.frame) == 70
    assert sorted([*first.frame["n"], *second.frame["n"]]) == list(range(100))
    assert all(part.frame["n"].is_monotonic_increasing and part.label == "kind" for part in (first, second))
    assert list(first.frame.index) == list(range(70))


def test_the_same_seed_draws_the_same_rows() -> None:
    first, again, other = (split_data(HUNDRED, random_seed=seed)[0].frame["n"].tolist() for seed in (5, 5, 6))
    assert first == again != other


def test_without_chance_the_first_rows_come_first() -> None:
    first, _ = split_data(HUNDRED, "Split Rows", 0.25, False)
    assert first.frame["n"].tolist() == list(range(25))


def test_strata_are_as_scikit_learn_draws_them() -> None:
    first, second = split_data(HUNDRED, "Split Rows", 0.7, True, 9, True, "kind")
    expected, _ = train_test_split(HUNDRED.frame, train_size=70, random_state=9, stratify=HUNDRED.frame["kind"])
    assert set(first.frame["n"]) == set(expected["n"])
    assert second.frame["kind"].value_counts().to_dict() == {"a": 24, "b": 6}


@pytest.mark.parametrize("fraction", [0, 1])
def test_a_part_may_be_empty(fraction: float) -> None:
    for stratified in (False, True):
        first, second = split_data(HUNDRED, "Split Rows", fraction, True, 0, stratified, "kind")
        assert (len(first.frame), len(second.frame)) == (100 * fraction, 100 - 100 * fraction)
    assert [len(part.frame) for part in split_data(HUNDRED.with_frame(HUNDRED.frame.head(0)))] == [0, 0]


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        (r'\"name" ^[A-C]', ["Ann", "Cid"]),
        (r"(\0) ^[a-c]", ["bob"]),
        (r'(\"name") (?i)^B', ["bob"]),
        (r'\"age" 4\d', ["bob", "Cid"]),
    ],
)
def test_rows_that_match_a_regular_expression_come_first(expression: str, names: list[str]) -> None:
    first, second = split_data(PEOPLE, "Regular Expression", regular_expression=expression)
    assert first.frame["name"].tolist() == names
    assert len(second.frame) == 5 - len(names)


@pytest.mark.parametrize(
    ("expression", "ages"),
    [
        (r'\"age" > 35', [41, 52, 41]),
        (r"(\1)<=41 & !=30", [41, 41, 35]),
        (r'\"age" < 31 | > 51', [30, 52]),
        (r'\"age" > 50 & < 60 | == 30', [30, 52]),
        (r'\"name" == bob', [41]),
        (r'\"name" != "bob"', [30, 41, 35]),
        (r'\"since" > 1/1/2012', [52]),
        (r'\"since" >= 2012-01-01', [41, 52]),
        (r'\"score" != 0.5', [52, 41, 35]),
    ],
)
def test_rows_for_which_a_comparison_holds_come_first(expression: str, ages: list[int]) -> None:
    """Nothing holds for a missing value, as in SQL."""
    first, second = split_data(PEOPLE, "Relative Expression", relational_expression=expression)
    assert first.frame["age"].tolist() == ages
    assert len(second.frame) == 5 - len(ages)


@pytest.mark.parametrize(
    ("mode", "expression", "code", "words"),
    [
        ("Regular", r'\"nobody" x', 1, "'nobody' is not there"),
        ("Regular", "x", 2, r'write e.g. \"Text" ^a'),
        ("Regular", r'\"name" [', 2, "is no regular expression"),
        ("Relative", r"(\9) > 3", 60, r"the last is \3"),
        ("Relative", r'\"age" about 3', 2, "'about 3' is no comparison"),
        ("Relative", r'\"age" > old', 2, "'old' is no value to compare a column of type Integer with"),
        ("Relative", r'\"name" > x', 17, "by == or != only"),
    ],
)
def test_expressions_that_cannot_be_understood_are_refused(mode: str, expression: str, code: int, words: str) -> None:
    with refused(code, words):
        split_data(PEOPLE, f"{mode} Expression", regular_expression=expression, relational_expression=expression)


def test_splits_that_cannot_be_are_refused() -> None:
    with refused(8, "fraction_of_rows_in_the_first_output_dataset is 1.5; it must be from 0 to 1."):
        split_data(PEOPLE, "Split Rows", 1.5)
    with refused(18, "cannot be stratified", column="name"):
        split_data(PEOPLE, "Split Rows", 0.5, stratified_split=True, stratification_key_column="name")
    with refused(8, "Split Rows, Regular Expression, Relative Expression"):
        split_data(PEOPLE, "Split")


# --- Partition and Sample, Remove Duplicate Rows, Summarize Data ---


def test_the_first_rows_or_a_sample_are_taken() -> None:
    assert partition_and_sample(HUNDRED, "Head", 7).frame["n"].tolist() == list(range(7))
    assert len(partition_and_sample(HUNDRED, "Head", 700).frame) == 100
    sample = partition_and_sample(
        HUNDRED,
        "Sampling",
        rate_of_sampling=0.2,
        stratified_split_for_sampling=True,
        stratification_key_column_for_sampling="kind",
    )
    assert sample.frame["kind"].value_counts().to_dict() == {"a": 16, "b": 4}


@pytest.mark.parametrize("randomized", [True, False])
def test_each_row_is_in_one_fold(randomized: bool) -> None:
    folded = partition_and_sample(
        HUNDRED, "Assign to Folds", number_of_folds_to_split_evenly_into=3, randomized_split=randomized
    )
    assert_frame_equal(folded.frame, HUNDRED.frame)
    folds = [partition_and_sample(folded, "Pick Fold", fold_to_be_sampled_from=fold).frame["n"] for fold in (1, 2, 3)]
    assert [len(fold) for fold in folds] == [34, 33, 33]
    assert sorted(pd.concat(folds)) == list(range(100))
    others = partition_and_sample(folded, "Pick Fold", pick_complement_of_the_selected_fold=True)
    assert sorted([*others.frame["n"], *folds[0]]) == list(range(100))


def test_folds_that_are_not_there_are_refused() -> None:
    with refused(18, "The rows have no folds"):
        partition_and_sample(HUNDRED, "Pick Fold")
    folded = partition_and_sample(HUNDRED, "Assign to Folds")
    with refused(18, "There is no fold 6; there are 1 to 5."):
        partition_and_sample(folded, "Pick Fold", fold_to_be_sampled_from=6)
    with refused(18, "right before"):
        partition_and_sample(folded.with_frame(HUNDRED.frame.head(3)), "Pick Fold")


def test_of_rows_with_equal_keys_one_is_kept() -> None:
    """The sample of Microsoft's page: rows that miss a key are no duplicates."""
    ages = [53, 53, 24, 24, 23, 23, 53, np.nan, np.nan]
    patients = Dataset(pd.DataFrame({"id": [1, 2, 3, 3, 4, None, 5, 6, 7], "gender": ["M"] * 9, "age": ages}))
    first = remove_duplicate_rows(patients, "gender,age").frame
    assert first["id"].tolist() == pytest.approx([1, 3, 4, 6, 7])
    last = remove_duplicate_rows(patients, "gender,age", False).frame
    assert last["id"].tolist() == pytest.approx([3, np.nan, 5, 6, 7], nan_ok=True)


def test_columns_are_described_as_pandas_does() -> None:
    summary = summarize_data(PEOPLE).frame.set_index("Feature")
    described = PEOPLE.frame[["age", "score"]].describe()
    names = {"mean": "Mean", "std": "Sample Standard Deviation", "min": "Min", "25%": "1st Quartile", "50%": "Median"}
    for statistic, name in (names | {"75%": "3rd Quartile", "max": "Max"}).items():
        assert summary.loc[["age", "score"], name].tolist() == pytest.approx(described.loc[statistic].tolist())
    assert summary.loc["name", ["Count", "Unique Value Count", "Missing Value Count"]].tolist() == [5, 4, 1]
    assert summary.loc[["name", "since"], "Mean"].isna().all()
    flags = summarize_data(Dataset(pd.DataFrame({"a": [True, False, True, True]}))).frame
    assert flags.loc[0, ["Min", "Max", "Range", "Mean"]].tolist() == [0, 1, 1, 0.75]
