"""Transformations that are fitted to a dataset and applied to others, in a web service to one row.

Truth: scikit-learn, SciPy and pandas called directly; clean-missing-data, normalize-data, convert-to-indicator-values,
clip-values, group-data-into-bins and apply-transformation of
https://learn.microsoft.com/azure/machine-learning/component-reference.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from designer_modules import LABEL, Dataset
from designer_modules.binning import group_data_into_bins
from designer_modules.cleaning import clean_missing_data
from designer_modules.clipping import clip_values
from designer_modules.fitted import Transformation
from designer_modules.indicators import convert_to_indicator_values
from designer_modules.normalization import normalize_data
from designer_modules.transformations import apply_transformation, select_columns_transform
from module_errors import refused
from pandas.testing import assert_frame_equal
from scipy import stats
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import KBinsDiscretizer, MinMaxScaler, OneHotEncoder, StandardScaler

RANDOM = np.random.default_rng(7)
NUMBERS = pd.DataFrame({"a": RANDOM.lognormal(size=50), "b": RANDOM.uniform(1, 9, 50), "c": np.full(50, 3.0)})
GAPS = pd.DataFrame(
    {
        "age": [30.0, np.nan, 50.0, 50.0, 70.0],
        "count": pd.array([1, 2, None, 2, 4], dtype="Int64"),
        "member": pd.array([True, None, True, False, True], dtype="boolean"),
        "city": ["Oslo", "Rome", None, "Rome", "Oslo"],
        "class": pd.Categorical(["b", None, "b", "a", "b"]),
        "whole": [1, 2, 3, 4, 5],
        "empty": [np.nan] * 5,
    }
)
CLEANED = ["age", "count", "member", "city", "class", "whole"]


def the_same_from_its_folder(transformation: Transformation, folder: Path) -> Transformation:
    transformation.save(folder)
    return Transformation.load(folder)


# --- Normalize Data ---

SCALED: dict[str, Callable[[pd.DataFrame], Any]] = {
    "ZScore": lambda frame: StandardScaler().fit_transform(frame),
    "MinMax": lambda frame: MinMaxScaler().fit_transform(frame),
    "Logistic": lambda frame: stats.logistic.cdf(frame),
    "LogNormal": lambda frame: np.column_stack([_log_normal(frame[name]) for name in frame]),
    "Tanh": np.tanh,
}


def _log_normal(column: pd.Series) -> Any:
    """The distribution function, with the parameters of the greatest likelihood: Microsoft's formula."""
    deviation, _, scale = stats.lognorm.fit(column, floc=0)
    return stats.lognorm.cdf(column, deviation, scale=scale)


@pytest.mark.parametrize("method", list(SCALED))
def test_numbers_are_put_on_a_scale(method: str, tmp_path: Path) -> None:
    dataset = Dataset(NUMBERS.assign(text="x"))
    normalized, transformation = normalize_data(dataset, "a,b", method)
    expected = dataset.frame.assign(**dict(zip("ab", np.asarray(SCALED[method](NUMBERS[["a", "b"]])).T, strict=True)))
    assert_frame_equal(normalized.frame, expected, rtol=1e-4 if method == "LogNormal" else 1e-12)
    again = apply_transformation(the_same_from_its_folder(transformation, tmp_path), dataset)
    assert_frame_equal(again.frame, normalized.frame, check_exact=True)


def test_one_row_is_put_on_the_scale_of_all() -> None:
    normalized, transformation = normalize_data(Dataset(NUMBERS))
    row = apply_transformation(transformation, Dataset(NUMBERS.iloc[[7]].reset_index(drop=True)))
    assert_frame_equal(row.frame, normalized.frame.iloc[[7]].reset_index(drop=True), check_exact=True)


@pytest.mark.parametrize(("use_0", "value"), [(True, 0.0), (False, np.nan)])
@pytest.mark.parametrize("method", ["ZScore", "MinMax"])
def test_a_constant_column_is_0_or_missing(method: str, use_0: bool, value: float) -> None:
    normalized, _ = normalize_data(Dataset(NUMBERS), "c", method, use_0)
    assert_frame_equal(normalized.frame[["c"]], pd.DataFrame({"c": np.full(50, value)}))


def test_missing_numbers_stay_missing_and_count_for_nothing() -> None:
    gaps = pd.DataFrame({"a": [1.0, np.nan, 3.0], "b": pd.array([1, None, 3], dtype="Int64")})
    normalized, _ = normalize_data(Dataset(gaps))
    assert_frame_equal(normalized.frame, pd.DataFrame({"a": [-1, np.nan, 1.0], "b": [-1, np.nan, 1.0]}))


@pytest.mark.parametrize(
    ("column", "method", "code", "where", "words"),
    [
        ([None, "1"], "ZScore", 17, {"column": "a", "row": 1}, "'1' is no number but text; see Edit Metadata"),
        (pd.Series([1.5, "x"], dtype=object), "ZScore", 17, {"column": "a", "row": 1}, "'x' is no number"),
        ([1.0, np.inf], "MinMax", 33, {"column": "a", "row": 1}, "infinite (inf)"),
        ([1.0, -np.inf], "Tanh", 33, {"column": "a", "row": 1}, "infinite (-inf)"),
        ([1.0, 0.0], "LogNormal", 8, {"column": "a", "row": 1}, "0.0 has no logarithm"),
        (pd.Categorical([1, 2]), "ZScore", 17, {"column": "a"}, "must be numeric"),
        (pd.to_datetime(["2020-01-01", None]), "ZScore", 17, {"column": "a"}, "must be numeric"),
        ([1.0, 2.0], "Percentile", 8, {}, "ZScore, MinMax, Logistic, LogNormal, Tanh"),
    ],
)
def test_what_cannot_be_normalized_is_named(
    column: Any, method: str, code: int, where: dict[str, Any], words: str
) -> None:
    with refused(code, words, **where):
        normalize_data(Dataset(pd.DataFrame({"a": column})), "a", method)


# --- Clean Missing Data ---


@pytest.mark.parametrize(("mode", "strategy"), [("mean", "mean"), ("median", "median"), ("mode", "most_frequent")])
def test_a_statistic_takes_the_place_of_missing_numbers(mode: str, strategy: str, tmp_path: Path) -> None:
    dataset = Dataset(GAPS)
    cleaned, transformation = clean_missing_data(dataset, "age,count", cleaning_mode=f"Replace with {mode}")
    numbers = GAPS[["age", "count"]].astype(float)
    assert cleaned.frame[["age", "count"]].astype(float).to_numpy() == pytest.approx(
        SimpleImputer(strategy=strategy).fit_transform(numbers)
    )
    assert_frame_equal(cleaned.frame[CLEANED[2:]], GAPS[CLEANED[2:]])
    again = apply_transformation(the_same_from_its_folder(transformation, tmp_path), dataset)
    assert_frame_equal(again.frame, cleaned.frame, check_exact=True)


def test_the_most_frequent_value_is_of_any_type() -> None:
    cleaned, _ = clean_missing_data(Dataset(GAPS), ",".join(CLEANED), cleaning_mode="Replace with mode")
    assert cleaned.frame.loc[1, ["age", "member", "class"]].tolist() == [50, True, "b"]
    assert cleaned.frame.loc[2, ["count", "city"]].tolist() == [2, "Oslo"]  # of two, the first
    assert not cleaned.frame[CLEANED].isna().any(axis=None)
    assert [cleaned.schema()["columns"][place]["type"] for place in (1, 2, 3, 4)] == [
        "Integer",
        "Boolean",
        "String",
        "Categorical",
    ]


@pytest.mark.parametrize(
    ("column", "replacement", "value"),
    [("age", "-1.5", -1.5), ("count", "7", 7), ("member", "0", False), ("city", "0", "0"), ("class", "none", "none")],
)
def test_a_value_takes_the_place_of_missing_ones(column: str, replacement: str, value: object, tmp_path: Path) -> None:
    cleaned, transformation = clean_missing_data(Dataset(GAPS), column, replacement_value=replacement)
    expected = GAPS[column].astype(object).where(GAPS[column].notna(), value).tolist()
    assert cleaned.frame[column].tolist() == expected
    again = the_same_from_its_folder(transformation, tmp_path).apply(Dataset(GAPS))
    assert_frame_equal(again.frame, cleaned.frame)


def test_rows_or_columns_are_removed() -> None:
    rows, of_rows = clean_missing_data(Dataset(GAPS), "age,city", cleaning_mode="Remove entire row")
    assert_frame_equal(rows.frame, GAPS.dropna(subset=["age", "city"]).reset_index(drop=True))
    assert of_rows.apply(Dataset(GAPS.head(2))).frame["age"].tolist() == [30]
    columns, of_columns = clean_missing_data(Dataset(GAPS), "all", cleaning_mode="Remove entire column")
    assert list(columns.frame.columns) == ["whole"]
    assert list(of_columns.apply(Dataset(GAPS.head(1))).frame.columns) == ["whole"]


def test_columns_with_other_ratios_of_missing_values_stay_as_they_are() -> None:
    """One of five is missing of most columns, all of one, none of another."""
    cleaned, transformation = clean_missing_data(Dataset(GAPS), "age,empty,whole", 0.1, 0.5, replacement_value="0")
    assert cleaned.frame["age"].tolist() == [30, 0, 50, 50, 70]
    assert cleaned.frame["empty"].isna().all()
    later = pd.DataFrame({"age": [np.nan], "empty": [np.nan], "whole": [np.nan]})
    assert transformation.apply(Dataset(later)).frame["whole"].isna().all()
    with refused(8, "maximum_missing_value_ratio is 0.1; it must be from 0.5 to 1."):
        clean_missing_data(Dataset(GAPS), "age", 0.5, 0.1)


def test_a_column_says_what_was_missing() -> None:
    cleaned, transformation = clean_missing_data(
        Dataset(GAPS), "age", cleaning_mode="Replace with mean", generate_missing_value_indicator_column=True
    )
    assert cleaned.frame["age_IsMissing"].tolist() == [False, True, False, False, False]
    row = transformation.apply(Dataset(GAPS.iloc[[0]]))
    assert row.frame["age_IsMissing"].tolist() == [False]


@pytest.mark.parametrize(("choice", "there"), [("Remove", False), ("Propagate", True)])
def test_a_column_without_any_value_has_no_mean(choice: str, there: bool) -> None:
    cleaned, _ = clean_missing_data(
        Dataset(GAPS), "age,empty", cleaning_mode="Replace with mean", cols_with_all_missing_values=choice
    )
    assert ("empty" in cleaned.frame.columns) == there
    zero, _ = clean_missing_data(Dataset(GAPS), "empty", replacement_value="0")
    assert zero.frame["empty"].tolist() == [0] * 5


@pytest.mark.parametrize("values", [[1.5, None], [True, None], [2, None], [None, None]])
def test_numbers_of_a_row_may_be_objects(values: list[Any]) -> None:
    """What pandas makes of a request's rows depends on which of their values are missing."""
    _, transformation = normalize_data(Dataset(pd.DataFrame({"a": [0.0, 2.0]})), "a", "MinMax")
    row = transformation.apply(Dataset(pd.DataFrame({"a": pd.Series(values, dtype=object)}))).frame
    assert row["a"].tolist() == pytest.approx([np.nan if one is None else one / 2 for one in values], nan_ok=True)


def test_a_rows_only_missing_value_is_filled_whatever_its_type_seems_to_be() -> None:
    """A web service's row of one missing number: pandas makes a column of objects of it."""
    _, transformation = clean_missing_data(Dataset(GAPS), "age", cleaning_mode="Replace with mean")
    row = transformation.apply(Dataset(pd.DataFrame({"age": [None]})))
    assert_frame_equal(row.frame, pd.DataFrame({"age": [50.0]}))


@pytest.mark.parametrize(
    ("column", "options", "words"),
    [
        ("city", {"cleaning_mode": "Replace with mean"}, "Replace with mean is for columns of type Integer, Double"),
        ("member", {"cleaning_mode": "Replace with median"}, "this is Boolean"),
        ("age", {"replacement_value": "none"}, "'none' is not of the column's type, Double"),
        ("count", {"replacement_value": "1.5"}, "'1.5' is not of the column's type, Integer"),
    ],
)
def test_a_mode_that_is_not_for_a_column_is_refused(column: str, options: dict[str, Any], words: str) -> None:
    with refused(17, words, column=column):
        clean_missing_data(Dataset(GAPS), column, **options)


def test_a_replacement_of_another_type_than_a_rows_is_refused() -> None:
    _, transformation = clean_missing_data(Dataset(GAPS), "age", cleaning_mode="Replace with mean")
    with refused(17, "'old' is not of the type of 50.0", column="age", row=0):
        transformation.apply(Dataset(pd.DataFrame({"age": ["old", None]})))


# --- Convert to Indicator Values ---


def test_categories_become_columns_of_0_and_1(tmp_path: Path) -> None:
    """The sample of Microsoft's page, and scikit-learn's."""
    frame = pd.DataFrame({"Server ID": [10301, 10302, 10303], "Failure score": ["Low", "Medium", "High"]})
    frame["Failure score"] = pd.Categorical(frame["Failure score"], ["Low", "Medium", "High"])
    converted, transformation = convert_to_indicator_values(Dataset(frame))
    indicators = [f"Failure score-{value}" for value in ("Low", "Medium", "High")]
    assert list(converted.frame.columns) == [*frame.columns, *indicators]
    encoder = OneHotEncoder(categories=[["Low", "Medium", "High"]], sparse_output=False, dtype=int)
    assert converted.frame[indicators].to_numpy().tolist() == encoder.fit_transform(frame[["Failure score"]]).tolist()
    texts = Dataset(frame.astype({"Failure score": "str"}).iloc[::-1].reset_index(drop=True))
    row = the_same_from_its_folder(transformation, tmp_path).apply(texts).frame
    assert row[indicators].to_numpy().tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]


def test_the_columns_themselves_can_be_left_out() -> None:
    frame = pd.DataFrame({"a": pd.Categorical([25, 30, 25]), "b": [1, 2, 3]})
    converted, _ = convert_to_indicator_values(Dataset(frame), "a", True)
    assert_frame_equal(converted.frame, pd.DataFrame({"b": [1, 2, 3], "a-25": [1, 0, 1], "a-30": [0, 1, 0]}))


def test_a_missing_value_is_a_category_if_it_was_in_training() -> None:
    with_gap, transformation = convert_to_indicator_values(Dataset(pd.DataFrame({"a": pd.Categorical(["x", None])})))
    assert with_gap.frame["a-Missing"].tolist() == [0, 1]
    assert transformation.apply(Dataset(pd.DataFrame({"a": [None]}))).frame["a-Missing"].tolist() == [1]
    _, without = convert_to_indicator_values(Dataset(pd.DataFrame({"a": pd.Categorical(["x", "y"])})))
    with refused(18, "none of the categories that were there in training: 'x', 'y'", column="a", row=1):
        without.apply(Dataset(pd.DataFrame({"a": ["x", None]})))


@pytest.mark.parametrize("column", [["x", "z"], pd.Categorical(["x", "z"], ["z", "x"])], ids=["text", "categorical"])
def test_an_unseen_category_is_named_with_its_row(column: Any) -> None:
    _, transformation = convert_to_indicator_values(Dataset(pd.DataFrame({"a": pd.Categorical(["x", "y"])})))
    with refused(18, "'z' is none of the categories", column="a", row=1):
        transformation.apply(Dataset(pd.DataFrame({"a": column})))


def test_texts_must_be_marked_as_categories_first() -> None:
    with refused(56, "Edit Metadata", column="a"):
        convert_to_indicator_values(Dataset(pd.DataFrame({"a": ["x", "y"]})), "a")


# --- Clip Values, Group Data into Bins, Select Columns Transform ---

TEN = Dataset(pd.DataFrame({"a": np.arange(1.0, 11.0)}))


def test_numbers_beyond_a_threshold_are_clipped_as_numpy_does(tmp_path: Path) -> None:
    clipped, transformation = clip_values(
        TEN,
        "ClipPeaksAndSubpeaks",
        upper_threshold="Percentile",
        percentile_value_for_upper_threshold=60,
        lower_threshold="Percentile",
        percentile_value_for_lower_threshold=30,
        add_indicator_columns=True,
    )
    low, high = np.percentile(TEN.frame["a"], [30, 60])
    assert clipped.frame["a"].tolist() == np.clip(TEN.frame["a"], low, high).tolist()
    assert clipped.frame["a_clipped"].tolist() == [*[True] * 3, *[False] * 3, *[True] * 4]
    row = the_same_from_its_folder(transformation, tmp_path).apply(Dataset(pd.DataFrame({"a": [100.0]})))
    assert row.frame["a"].tolist() == [high]


@pytest.mark.parametrize(
    ("substitute", "value"), [("Mean", 5.5), ("Median", 5.5), ("Missing", np.nan), ("Threshold", 8)]
)
def test_something_takes_the_place_of_peaks(substitute: str, value: float) -> None:
    clipped, _ = clip_values(
        TEN, constant_value_for_upper_threshold=8, substitute_value_for_peaks=substitute, overwrite_flag=False
    )
    expected = TEN.frame["a"].where(TEN.frame["a"] <= 8, value)
    assert_frame_equal(clipped.frame, pd.DataFrame({"a": TEN.frame["a"], "a_clipped_value": expected}))


def test_a_lower_threshold_is_the_lower() -> None:
    with refused(8, "lower threshold of column 'a'"):
        clip_values(
            TEN, "ClipPeaksAndSubpeaks", constant_value_for_upper_threshold=1, constant_value_for_lower_threshold=2
        )


@pytest.mark.parametrize(("mode", "strategy"), [("Quantiles", "quantile"), ("Equal Width", "uniform")])
def test_bins_are_scikit_learns(mode: str, strategy: str, tmp_path: Path) -> None:
    """Whose bins hold their lower edges, where ours hold the upper ones: no number here is an edge."""
    binned, transformation = group_data_into_bins(
        Dataset(NUMBERS), mode, 4, "QuantileIndex", columns_to_bin="a,b", tag_columns_as_categorical=False
    )
    options = {"quantile_method": "linear"} if strategy == "quantile" else {}
    expected = (
        KBinsDiscretizer(4, encode="ordinal", strategy=strategy, **options).fit_transform(NUMBERS[["a", "b"]]) + 1
    )
    assert binned.frame[["a_quantized", "b_quantized"]].to_numpy().tolist() == expected.tolist()
    row = the_same_from_its_folder(transformation, tmp_path).apply(Dataset(NUMBERS.iloc[[3]]))
    assert row.frame["b_quantized"].tolist() == [expected[3, 1]]


def test_bins_have_edges_of_ones_own() -> None:
    """Microsoft's: with the edge 0, what is above it is in bin 2, and what is not in bin 1."""
    frame = pd.DataFrame({"a": [-1.0, 0.0, 0.5, np.nan]})
    binned, _ = group_data_into_bins(
        Dataset(frame), "Custom Edges", comma_separated_list_of_bin_edges="0", output_mode="Inplace"
    )
    assert binned.frame["a"].tolist() == [1, 1, 2, np.nan]
    assert binned.schema()["columns"][0]["categories"] == [1, 2]
    for edges, code in (("1, x", 2), ("3, 1", 19), ("", 2)):
        with refused(code):
            group_data_into_bins(Dataset(frame), "Custom Edges", comma_separated_list_of_bin_edges=edges)


def test_quantiles_are_called_by_their_share() -> None:
    binned, _ = group_data_into_bins(TEN, "Quantiles", 4, "Percent", output_mode="ResultOnly")
    assert sorted(set(binned.frame["a_quantized"])) == [25, 50, 75, 100]
    assert list(binned.frame.columns) == ["a_quantized"]


def test_a_selection_is_applied_to_other_datasets(tmp_path: Path) -> None:
    selection = the_same_from_its_folder(select_columns_transform(Dataset(GAPS), "numeric,-empty"), tmp_path)
    assert list(selection.apply(Dataset(GAPS)).frame.columns) == ["age", "count", "whole"]
    with refused(1, column="count"):
        selection.apply(Dataset(GAPS[["age", "whole"]]))


# --- all of them ---

FITS: dict[str, Callable[[Dataset], Transformation]] = {
    "normalize": lambda dataset: normalize_data(dataset, "x,y")[1],
    "replace": lambda dataset: clean_missing_data(dataset, "x,y", cleaning_mode="Replace with mean")[1],
    "remove rows": lambda dataset: clean_missing_data(dataset, "x,y", cleaning_mode="Remove entire row")[1],
    "remove columns": lambda dataset: clean_missing_data(dataset, "z", cleaning_mode="Remove entire column")[1],
    "indicators": lambda dataset: convert_to_indicator_values(dataset, "k,y2", True)[1],
    "clip": lambda dataset: clip_values(dataset, list_of_columns="x,y")[1],
    "bins": lambda dataset: group_data_into_bins(dataset, columns_to_bin="x,y")[1],
    "select": lambda dataset: select_columns_transform(dataset, "x,y,k"),
}
LABELED = Dataset(
    pd.DataFrame(
        {
            "x": [1.0, 2.0, 3.0],
            "y": [4.0, 5.0, 7.0],
            "y2": pd.Categorical(["p", "q", "p"]),
            "k": pd.Categorical(["u", "v", "u"]),
            "z": [1.0, np.nan, 2.0],
        }
    ),
    {"y": LABEL},
)


@pytest.mark.parametrize("fit", FITS.values(), ids=list(FITS))
def test_the_label_need_not_be_there(fit: Callable[[Dataset], Transformation]) -> None:
    transformation = fit(LABELED)
    labeled = transformation.apply(LABELED).frame
    unlabeled = transformation.apply(LABELED.with_frame(LABELED.frame.drop(columns="y"))).frame
    assert_frame_equal(unlabeled, labeled[unlabeled.columns])
    assert not [name for name in unlabeled.columns if name in ("y", "y_quantized")]


@pytest.mark.parametrize("fit", [fit for name, fit in FITS.items() if name != "remove columns"])
def test_another_column_must_be_there(fit: Callable[[Dataset], Transformation]) -> None:
    with refused(1, "is not there"):
        fit(LABELED).apply(LABELED.with_frame(LABELED.frame.drop(columns=["x", "k"])))


@pytest.mark.parametrize("fit", FITS.values(), ids=list(FITS))
def test_what_is_transformed_is_not_changed_itself(fit: Callable[[Dataset], Transformation]) -> None:
    """In a web service, threads share datasets and transformations."""
    before = LABELED.frame.copy(deep=True)
    transformation = fit(LABELED)
    first, second = transformation.apply(LABELED), transformation.apply(LABELED)
    assert_frame_equal(LABELED.frame, before)
    assert_frame_equal(first.frame, second.frame)


@pytest.mark.parametrize("fit", FITS.values(), ids=list(FITS))
def test_no_rows_are_no_error(fit: Callable[[Dataset], Transformation]) -> None:
    nothing = LABELED.with_frame(LABELED.frame.head(0))
    assert len(fit(LABELED).apply(nothing).frame) == 0
    fit(nothing)


def test_a_folder_of_something_else_is_no_transformation(tmp_path: Path) -> None:
    LABELED.save(tmp_path)
    with refused(158, "no transformation.json"):
        Transformation.load(tmp_path)
    (tmp_path / "transformation.json").write_text('{"transformation": "Magic"}')
    with refused(158, "'Magic'"):
        Transformation.load(tmp_path)


def test_a_number_without_logarithm_is_refused_when_it_is_applied_too() -> None:
    """The curve that LogNormal puts numbers on says 0 of all that is not positive: no error would tell of them."""
    _, fitted = normalize_data(Dataset(pd.DataFrame({"a": [1.0, 2.0]})), "a", "LogNormal")
    with refused(8, "-1.0 has no logarithm", column="a", row=1):
        fitted.apply(Dataset(pd.DataFrame({"a": [1.0, -1.0]})))
