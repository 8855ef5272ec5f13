"""Datasets in folders, the columns that a parameter selects, and how a component is called as a step.

Truth: pandas; the column selector of Select Columns in Dataset; error numbers of the designer's error codes, both
https://learn.microsoft.com/azure/machine-learning/component-reference.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from designer_modules import LABEL, Dataset, columns, registry
from designer_modules.__main__ import main
from module_errors import refused
from pandas.testing import assert_frame_equal

FRAME = pd.DataFrame(
    {
        "age": [30, 41, 52],
        "wage": [1.5, np.nan, 2.5],
        "member": [True, False, True],
        "city": ["Oslo", "Rome", None],
        "class": pd.Categorical(["b", "a", "b"], categories=["a", "b", "c"]),
        "since": pd.to_datetime(["2020-01-01", "2021-01-01", None]),
        "a, b": [1, 2, 3],
        "it's": [1, 2, 3],
        "-1": [1, 2, 3],
    }
)
DATASET = Dataset(FRAME, {"class": LABEL, "city": "not_a_feature"}, {"classes": ["a", "b"]})


# --- in a folder ---


def test_a_dataset_is_read_as_it_was_written(tmp_path: Path) -> None:
    DATASET.save(tmp_path)
    read = Dataset.load(tmp_path)
    assert_frame_equal(read.frame, FRAME)
    assert (dict(read.roles), dict(read.properties)) == (DATASET.roles, DATASET.properties)
    assert read.label == "class"


def test_other_programs_can_read_it(tmp_path: Path) -> None:
    DATASET.save(tmp_path)
    assert_frame_equal(pd.read_parquet(tmp_path / "data.parquet"), FRAME)
    described = json.loads((tmp_path / "schema.json").read_text())["columns"]
    types = [column["type"] for column in described]
    numbers = ["Integer"] * 3
    assert types == ["Integer", "Double", "Boolean", "String", "Categorical", "DateTime", *numbers]
    assert described[4] == {"name": "class", "type": "Categorical", "role": "label", "categories": ["a", "b", "c"]}


def test_an_absent_label_is_still_known_in_the_next_step(tmp_path: Path) -> None:
    DATASET.with_frame(FRAME.drop(columns="class")).save(tmp_path)
    assert Dataset.load(tmp_path).label == "class"


@pytest.mark.parametrize(
    "frame",
    [
        FRAME.head(0),
        pd.DataFrame(),
        pd.DataFrame({"a": pd.Categorical([1, 2, 1])}),
        pd.DataFrame({"a": pd.Categorical([1.5, None, 1.5])}),
        pd.DataFrame({"a": pd.Categorical(pd.to_datetime(["2020-01-01", "2021-01-01"]))}),
        pd.DataFrame({"a": pd.array([True, None], dtype="boolean"), "b": pd.array([1, None], dtype="Int64")}),
        pd.DataFrame({"é€✈": ["ü", "\n"]}),
    ],
    ids=["no rows", "no columns", "whole categories", "missing category", "times", "nullable", "unicode"],
)
def test_unusual_tables_survive(frame: pd.DataFrame, tmp_path: Path) -> None:
    Dataset(frame).save(tmp_path)
    assert_frame_equal(Dataset.load(tmp_path).frame, frame, check_column_type=False)


def test_a_folder_of_files_is_no_dataset(tmp_path: Path) -> None:
    FRAME.to_csv(tmp_path / "data.csv")
    with refused(18, "Import Data"):
        Dataset.load(tmp_path)


@pytest.mark.parametrize(
    ("names", "code"), [(["a", "a"], 28), (["a", 1], 155)], ids=["a name that two have", "a name that is no text"]
)
def test_columns_have_names_of_their_own(names: list[object], code: int) -> None:
    with refused(code):
        Dataset(pd.DataFrame([[1, 2]], columns=names))


def test_a_column_of_several_types_cannot_be_kept(tmp_path: Path) -> None:
    mixed = pd.DataFrame({"a": [1, 2, 3], "b": pd.Series(["x", None, 3], dtype=object)})
    with refused(45, "3 is int, where the values before are str", column="b", row=2):
        Dataset(mixed).save(tmp_path)


# --- columns ---


@pytest.mark.parametrize(
    ("selection", "names"),
    [
        ("wage, age", ["wage", "age"]),
        ("all", list(FRAME.columns)),
        ("numeric", ["age", "wage", "a, b", "it's", "-1"]),
        ("boolean,text,categorical,datetime", ["member", "city", "class", "since"]),
        ("label", ["class"]),
        ("features", [name for name in FRAME.columns if name not in ("class", "city")]),
        ("-label", [name for name in FRAME.columns if name != "class"]),
        ("numeric,-wage,-features", []),
        ("all,-numeric", ["member", "city", "class", "since"]),
        ('["a, b", "it\\u0027s"]', ["a, b", "it's"]),
        ("-1", ["-1"]),
        ("2,1-3", ["wage", "age", "member"]),
        ("-5-9", ["age", "wage", "member", "city"]),
        ("", []),
    ],
)
def test_columns_are_selected(selection: str, names: list[str]) -> None:
    assert columns.select(DATASET, selection) == names


@pytest.mark.parametrize(
    ("selection", "code"), [("nobody", 1), ("age,-nobody", 1), ("0", 60), ("8-10", 60), ("5-4", 60), ('["age"', 2)]
)
def test_columns_that_are_not_there_are_refused(selection: str, code: int) -> None:
    with refused(code):
        columns.select(DATASET, selection)


def test_an_error_names_the_column_and_those_that_are_there() -> None:
    with refused(1, "'Wage' is not there; there are: age, wage", column="Wage"):
        columns.select(DATASET, "Wage")


def test_a_label_that_a_web_service_is_not_sent_is_passed_over() -> None:
    unlabeled = DATASET.with_frame(FRAME.drop(columns="class"))
    assert columns.select(unlabeled, "age,class") == ["age"]
    assert columns.select(unlabeled, "age,class", with_absent_label=True) == ["age", "class"]
    with refused(1):
        columns.one(unlabeled, "class", "label_column")


@pytest.mark.parametrize("word", ["all", "numeric", "features"])
def test_a_word_that_is_a_columns_name_and_means_others_too_is_refused(word: str) -> None:
    named = Dataset(pd.DataFrame({word: [1], "b": [2]}))
    with refused(2, f"{word!r} is the name of a column", column=word):
        columns.select(named, word)
    with refused(2, column=word):
        columns.select(named, f"-{word}")
    assert columns.select(named, f'["{word}"]') == [word]
    assert columns.select(named, f'["-{word}"]') == ["b"]


def test_a_word_that_can_mean_its_column_only_is_a_name() -> None:
    assert columns.select(Dataset(pd.DataFrame({"label": [1], "b": [2]})), "label") == ["label"]
    assert columns.select(Dataset(pd.DataFrame({"text": ["a"], "b": [2]})), "text") == ["text"]


def test_places_are_refused_where_a_column_less_would_shift_them() -> None:
    unlabeled = DATASET.with_frame(FRAME.drop(columns="class"))
    with refused(60, "'class' is not sent"):
        columns.select(unlabeled, "2-3")


def test_one_column_is_one() -> None:
    assert columns.one(DATASET, "label", "label_column") == "class"
    with refused(22, "label_column must select one column; 'age,wage' selects 2"):
        columns.one(DATASET, "age,wage", "label_column")


# --- a component as a function, and as a step ---


@pytest.mark.parametrize(
    ("value", "wanted", "result"),
    [
        ("3", int, 3),
        (3, float, 3.0),
        ("true", bool, True),
        ("False", bool, False),
        ("1", bool, True),
        (1.5, str, "1.5"),
    ],
)
def test_a_literal_becomes_what_a_parameter_is(value: object, wanted: type, result: object) -> None:
    assert registry.literal(value, wanted) == result
    assert type(registry.literal(value, wanted)) is wanted


@pytest.mark.parametrize(("value", "wanted"), [("3.5", int), ("x", float), ("yes", bool), (True, int), ("", int)])
def test_a_literal_that_is_none_is_refused_by_its_parameters_name(value: object, wanted: type) -> None:
    with refused(2, f"seed is {value!r}, which is no "):
        registry.literal(value, wanted, "seed")


def test_a_step_reads_and_writes_folders(tmp_path: Path) -> None:
    DATASET.save(tmp_path / "in")
    main(
        [
            "normalization.normalize_data",
            *("--dataset", str(tmp_path / "in"), "--columns_to_transform", "age", "--use_0_for_constant_columns", "1"),
            *("--transformed_dataset", str(tmp_path / "out"), "--transformation_function", str(tmp_path / "fitted")),
        ]
    )
    assert Dataset.load(tmp_path / "out").frame["age"].mean() == pytest.approx(0)
    main(
        [
            "transformations.apply_transformation",
            *("--transformation", str(tmp_path / "fitted"), "--dataset", str(tmp_path / "in")),
            *("--transformed_dataset", str(tmp_path / "again")),
        ]
    )
    assert_frame_equal(Dataset.load(tmp_path / "again").frame, Dataset.load(tmp_path / "out").frame)


def test_a_text_comes_through_a_file_without_the_line_break_of_its_here_document(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.write(write, b"a\n'x'\n\n")
    os.close(write)
    main(["data_sources.enter_data_manually", "--data", f"/dev/fd/{read}", "--dataset", str(tmp_path)])
    os.close(read)
    assert Dataset.load(tmp_path).frame["a"].tolist() == ["'x'"]


def test_a_dash_is_a_text_like_any_other(tmp_path: Path) -> None:
    """For many programs it stands for standard input; here it may take the place of missing values."""
    Dataset(pd.DataFrame({"gate": ["A", None]})).save(tmp_path / "in")
    main(
        [
            "cleaning.clean_missing_data",
            *("--dataset", str(tmp_path / "in"), "--replacement_value", "-"),
            *("--cleaned_dataset", str(tmp_path / "out"), "--cleaning_transformation", str(tmp_path / "fitted")),
        ]
    )
    assert Dataset.load(tmp_path / "out").frame["gate"].tolist() == ["A", "-"]


def test_a_step_that_cannot_do_its_work_says_so_in_a_line(tmp_path: Path) -> None:
    step = ["transformations.select_columns_in_dataset", "--dataset", str(tmp_path), "--select_columns", "nobody"]
    DATASET.save(tmp_path)
    ended = subprocess.run(
        [sys.executable, "-m", "designer_modules", *step, "--results_dataset", str(tmp_path / "out")],
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": str(Path(registry.__file__).parents[1])},
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(
        "transformations.select_columns_in_dataset: Error 0001: Column 'nobody' is not there"
    )
    assert len(ended.stderr.splitlines()) == 1
