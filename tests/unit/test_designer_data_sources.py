"""Data that comes in by Enter Data Manually and Import Data, and goes out by Export Data.

Truth: pandas and scikit-learn called directly; the formats' own descriptions; enter-data-manually, import-data and
export-data of https://learn.microsoft.com/azure/machine-learning/component-reference.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from designer_modules import Dataset
from designer_modules.data_export import ExportedData, export_data
from designer_modules.data_sources import enter_data_manually, import_data
from module_errors import refused
from pandas.testing import assert_frame_equal

FRAME = pd.DataFrame(
    {
        "name": ["it's", 'a "b", c', "line\nbreak", "é€✈"],
        "number": [1, 2, 3, 4],
        "part": [0.1, np.nan, 1e300, -2.5],
        "yes": [True, False, True, False],
    }
)


# --- Enter Data Manually ---


def test_typed_rows_are_a_dataset() -> None:
    typed = enter_data_manually(FRAME.to_csv(index=False) + "\n\n")
    assert_frame_equal(typed.frame, FRAME)


def test_columns_without_names_are_numbered() -> None:
    assert enter_data_manually("1\tx\n2\ty\n", "TSV", False).frame.to_dict("list") == {
        "Col1": [1, 2],
        "Col2": ["x", "y"],
    }


def test_truths_with_gaps_are_booleans() -> None:
    typed = enter_data_manually("a,b\nTrue,1\n,2\nFalse,3\n")
    assert typed.schema()["columns"][0]["type"] == "Boolean"
    assert typed.frame["a"].tolist() == [True, pd.NA, False]


def test_arff_has_types_and_categories() -> None:
    typed = enter_data_manually(
        "% made up\n@RELATION weather\n@ATTRIBUTE outlook {sunny, rainy}\n@ATTRIBUTE degrees NUMERIC\n@DATA\n"
        "sunny,85\nrainy,?\n?,70.5\n",
        "ARFF",
    )
    assert typed.frame["outlook"].cat.categories.tolist() == ["sunny", "rainy"]
    assert typed.frame["outlook"].tolist() == ["sunny", "rainy", np.nan]
    assert_frame_equal(typed.frame[["degrees"]], pd.DataFrame({"degrees": [85, np.nan, 70.5]}))


def test_svm_light_has_columns_by_place_and_labels() -> None:
    """The sample of Microsoft's page. It shows rows scaled to length 1 as the result; ours are as typed."""
    typed = enter_data_manually("1 1:2 2:50 3:12500 4:98 # donor\n0 2:13 3:3250\n", "SvmLight")
    assert typed.frame.to_numpy().tolist() == [[2, 50, 12500, 98, 1], [0, 13, 3250, 0, 0]]
    assert list(typed.frame.columns) == ["Col1", "Col2", "Col3", "Col4", "Labels"]
    assert typed.label == "Labels"


@pytest.mark.parametrize(
    ("text", "data_format", "code", "words"),
    [
        (" \n", "CSV", 3, "no data"),
        ("a,b\n1,2\n1,2,3\n", "CSV", 49, "line 3"),
        ("a,b\n1,2,3\n4,5,6\n", "CSV", 49, "the rows have more values than there are columns"),
        ("@DATA\n1,2\n", "ARFF", 49, "no @attribute"),
        ("@ATTRIBUTE a {x}\n@DATA\ny\n", "ARFF", 49, "y"),
        ("@ATTRIBUTE a STRING\n@DATA\ny\n", "ARFF", 49, "String"),
        ("1 x:2\n", "SvmLight", 49, "x"),
        ("1", "Excel", 8, "ARFF, CSV, SvmLight, TSV"),
    ],
)
def test_what_is_not_in_the_format_is_refused(text: str, data_format: str, code: int, words: str) -> None:
    with refused(code, words):
        enter_data_manually(text, data_format)


# --- Import Data and Export Data ---


@pytest.mark.parametrize("file_format", ["CSV", "TSV", "Parquet", "JsonLines"])
def test_what_is_exported_can_be_imported(file_format: str, tmp_path: Path) -> None:
    export_data(Dataset(FRAME), file_format).save(tmp_path)
    (written,) = tmp_path.iterdir()
    for source in (tmp_path, written):
        assert_frame_equal(import_data(source).frame, FRAME)
    assert_frame_equal(ExportedData.load(tmp_path).frame, FRAME)


def test_files_are_put_together_in_the_order_of_their_names(tmp_path: Path) -> None:
    (tmp_path / "later").mkdir()
    FRAME.tail(1).to_csv(tmp_path / "later" / "a.csv", index=False)
    FRAME.head(2).to_parquet(tmp_path / "1.parquet")
    FRAME.iloc[2:3].to_csv(tmp_path / "2.tsv", index=False, sep="\t")
    (tmp_path / "_SUCCESS").touch()
    (tmp_path / ".hidden.csv").write_text("x\n1\n")
    assert_frame_equal(import_data(tmp_path).frame, FRAME)


def test_files_without_a_known_ending_are_read_as_one_says(tmp_path: Path) -> None:
    (tmp_path / "part-00000").write_text("1,x\n2,y\n")
    assert import_data(tmp_path, "CSV", has_header=False).frame.to_dict("list") == {"Col1": [1, 2], "Col2": ["x", "y"]}
    with refused(49, "'part-00000' ends with none of .csv", port="data"):
        import_data(tmp_path)


def test_a_dataset_of_the_designer_is_read_with_its_roles(tmp_path: Path) -> None:
    Dataset(FRAME, {"yes": "label"}).save(tmp_path)
    assert import_data(tmp_path).label == "yes"


def test_json_keeps_its_types(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a": "007", "date": "2020-01-01", "b": null}\n\n{"a": "1", "b": true}\n')
    described = import_data(tmp_path).schema()["columns"]
    assert [(column["name"], column["type"]) for column in described] == [
        ("a", "String"),
        ("date", "String"),
        ("b", "Boolean"),
    ]


def test_files_with_other_columns_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("x,y\n1,2\n")
    (tmp_path / "b.csv").write_text("x,z\n1,2\n")
    with refused(61, "'b.csv' has the columns x, z; 'a.csv' has x, y.", port="data"):
        import_data(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.csv", b"", 3),
        ("a.csv", b"a,b\n1,2,3\n1,2,3,4\n", 49),
        ("a.csv", b"a\n\xff\xfe\n", 49),
        ("a.parquet", b"PAR1", 49),
        ("a.jsonl", b'{"a": 1}\n{"a": \n', 49),
        ("a.jsonl", b"[1, 2]\n", 49),
    ],
)
def test_files_that_cannot_be_read_are_refused_by_name(name: str, content: bytes, code: int, tmp_path: Path) -> None:
    (tmp_path / name).write_bytes(content)
    with refused(code, name):
        import_data(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with refused(3, port="data"):
        import_data(tmp_path)


def test_two_columns_of_one_name_are_refused_and_not_renamed(tmp_path: Path) -> None:
    (tmp_path / "data.tsv").write_text("age\tage\n1\t2\n")
    for read in (lambda: enter_data_manually("age,age\n1,2\n"), lambda: import_data(tmp_path)):
        with refused(28, column="age"):
            read()
    assert list(enter_data_manually("age,age.1\n1,2\n").frame) == ["age", "age.1"]
