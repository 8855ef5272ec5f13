r"""Execute SQL Transformation and Execute Python Script: what they are given, what they may not, how they fail.

Truth: DuckDB called directly, and its messages; Python's; apply-sql-transformation and execute-python-script of
https://learn.microsoft.com/azure/machine-learning/component-reference.
"""

import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pytest
from designer_modules import LABEL, Dataset
from designer_modules.python_script import EXAMPLE, execute_python_script
from designer_modules.sql import execute_sql_transformation
from module_errors import refused
from pandas.testing import assert_frame_equal

FRAME = pd.DataFrame(
    {
        "n": [1, 2, 3],
        "x": [0.5, None, 1.5],
        "t": ["it's", 'a "b"', None],
        "k": pd.Categorical(["u", "v", "u"], ["v", "u"]),
        "b": pd.array([True, None, False], dtype="boolean"),
        "d": pd.to_datetime(["2020-01-01", None, "2021-01-01"]),
        "two words": [1, 2, 3],
    }
)
DATASET = Dataset(FRAME, {"n": LABEL})
OTHER = Dataset(pd.DataFrame({"n": [2, 3], "z": ["p", "q"]}))


# --- SQL ---


def test_a_query_that_selects_all_changes_nothing() -> None:
    result = execute_sql_transformation(DATASET)
    assert_frame_equal(result.frame, FRAME)
    assert result.label == "n"


def test_three_tables_are_queried_as_duckdb_does() -> None:
    query = """SELECT t1."two words", t2.z, t3.z AS zz FROM t1 JOIN t2 USING (n) LEFT JOIN t3 ON t3.n = t1.n + 1
    ORDER BY 1"""
    t1, t2, t3 = FRAME, OTHER.frame, OTHER.frame  # DuckDB finds these by their names
    expected = duckdb.sql(query).df()
    assert len(t1) + len(t2) + len(t3) == 7
    assert_frame_equal(execute_sql_transformation(DATASET, query, OTHER, OTHER).frame, expected)


def test_statements_are_done_one_after_another_and_leave_nothing_behind() -> None:
    script = "CREATE TABLE a AS SELECT * FROM t1;\nUPDATE a SET n = n + 1;\nSELECT sum(n) AS s FROM a;"
    for _ in range(2):
        assert execute_sql_transformation(DATASET, script).frame["s"].tolist() == [9]
    with refused(69, "a does not exist"):
        execute_sql_transformation(DATASET, "SELECT * FROM a")
    assert FRAME["n"].tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("SELECT n\nFROM t1\nWHERE nobody = 1", "LINE 3: WHERE nobody = 1"),
        ("SELECT 1;\n\nSELEC 2", "LINE 3: SELEC 2"),
        ("SELECT 1;\n-- why\nSELECT nobody FROM t1", "LINE 3"),
        ("SELECT * FROM t2", "Table with name t2 does not exist"),
        ("SELECT CAST(t AS INTEGER) FROM t1", "Could not convert string 'it's' to INT32"),
        ("CREATE TABLE a AS SELECT 1", "The last statement must select rows"),
        (" -- nothing", "The last statement must select rows"),
        ("", "The last statement must select rows"),
    ],
)
def test_a_query_that_fails_says_where_and_why(script: str, words: str) -> None:
    with refused(69, words):
        execute_sql_transformation(DATASET, script)


@pytest.mark.parametrize(
    "script",
    [
        "SELECT * FROM read_csv('{path}')",
        "SELECT * FROM '{path}'",
        "SELECT * FROM read_text('{path}')",
        "SELECT * FROM read_parquet('https://example.com/a.parquet')",
        "COPY t1 TO '{path}.copy'; SELECT 1",
        "ATTACH '{path}.db' AS other; SELECT 1",
        "EXPORT DATABASE '{path}.export'; SELECT 1",
        "INSTALL httpfs; SELECT 1",
        "LOAD httpfs; SELECT 1",
        "SET enable_external_access = true; SELECT 1",
        "PRAGMA enable_external_access; SELECT 1",
        "SELECT * FROM FRAME",
        "SELECT * FROM glob('/*')",
    ],
)
def test_a_query_sees_no_files_no_addresses_and_no_variables(script: str, tmp_path: Path) -> None:
    path = tmp_path / "secret.csv"
    path.write_text("secret\n1\n")
    with refused(69):
        execute_sql_transformation(DATASET, script.format(path=path))
    assert list(tmp_path.iterdir()) == [path]


def test_queries_of_several_threads_see_their_own_tables() -> None:
    def query(number: int) -> int:
        table = Dataset(pd.DataFrame({"n": [number]}))
        return int(execute_sql_transformation(table, "SELECT n FROM t1").frame["n"].iloc[0])

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(query, range(40))) == list(range(40))


# --- Python ---


def script(body: str, before: str = "") -> str:
    return f"{before}\ndef azureml_main(dataframe1=None, dataframe2=None):\n    {body}\n"


def test_the_sample_returns_what_it_is_given() -> None:
    first, second = execute_python_script(DATASET, python_script=EXAMPLE)
    assert_frame_equal(first.frame, FRAME)
    assert first.label == "n"
    assert second.frame.empty


@pytest.mark.parametrize(
    ("returned", "shapes"),
    [
        ("return dataframe1", [(3, 7), (0, 0)]),
        ("return dataframe1, dataframe2", [(3, 7), (2, 2)]),
        ("return [dataframe2]", [(2, 2), (0, 0)]),
        ("return dataframe1[dataframe1.n > 1],", [(2, 7), (0, 0)]),
    ],
)
def test_one_or_two_tables_are_returned(returned: str, shapes: list[tuple[int, int]]) -> None:
    results = execute_python_script(DATASET, OTHER, python_script=script(returned))
    assert [result.frame.shape for result in results] == shapes
    assert all(isinstance(result.frame.index, pd.RangeIndex) for result in results)


def test_a_port_that_is_not_connected_is_none() -> None:
    body = "import pandas as pd; return pd.DataFrame({'none': [dataframe1 is None, dataframe2 is None]})"
    first, _ = execute_python_script(python_script=script(body))
    assert first.frame["none"].tolist() == [True, True]


def test_a_script_changes_its_own_copy() -> None:
    first, _ = execute_python_script(DATASET, python_script=script("dataframe1['n'] = 0; return dataframe1"))
    assert first.frame["n"].tolist() == [0, 0, 0]
    assert FRAME["n"].tolist() == [1, 2, 3]


def test_what_is_outside_of_functions_is_done_once_for_many_rows() -> None:
    counting = script("CALLS.append(1); dataframe1['calls'] = len(CALLS); return dataframe1", "CALLS = []")
    calls = [execute_python_script(OTHER, python_script=counting)[0].frame["calls"].iloc[0] for _ in range(3)]
    assert calls == [1, 2, 3]


def test_classes_of_a_script_are_as_those_of_a_module() -> None:
    before = "import pickle\nfrom dataclasses import dataclass\n@dataclass\nclass A:\n    a: 'int'\n"
    first, _ = execute_python_script(
        OTHER, python_script=script("dataframe1['a'] = pickle.loads(pickle.dumps(A(3))).a; return dataframe1", before)
    )
    assert first.frame["a"].tolist() == [3, 3]


def test_modules_of_the_bundle_can_be_imported(tmp_path: Path) -> None:
    (tmp_path / "bundled_module.py").write_text("VALUE = 'file'\n")
    with zipfile.ZipFile(tmp_path / "bundle.zip", "w") as archive:
        archive.writestr("zipped_module.py", "VALUE = 'zip'\n")
    body = "import bundled_module, zipped_module; dataframe1['v'] = bundled_module.VALUE + zipped_module.VALUE; "
    first, _ = execute_python_script(OTHER, script_bundle=tmp_path, python_script=script(body + "return dataframe1"))
    assert first.frame["v"].tolist() == ["filezip"] * 2


@pytest.mark.parametrize(
    ("python_script", "words"),
    [
        (script("return 1 / 0"), "Line 3 of the script: ZeroDivisionError: division by zero: return 1 / 0"),
        (
            script("return f(dataframe1)", "def f(a):\n    return a['nobody']\n"),
            "Line 2 of the script: KeyError: 'nobody'",
        ),
        ("x = 1\nimport nobody_knows_this\n", "Line 2 of the script: ModuleNotFoundError: No module named"),
        ("def azureml_main(a, b)\n    pass", "Line 1 of the script: expected ':': def azureml_main(a, b)"),
        ("def other(a, b):\n    pass", "no function azureml_main"),
        ("azureml_main = 3", "no function azureml_main"),
        ("def azureml_main(a):\n    return a", "takes 1 positional argument but 2 were given"),
        (script("return ()"), "must return one or two tables; it returned 0"),
        (script("return dataframe1, dataframe1, dataframe1"), "must return one or two tables; it returned 3"),
        (script("raise SystemExit(3)"), "Line 3 of the script: SystemExit: 3"),
    ],
)
def test_a_script_that_fails_says_in_which_line(python_script: str, words: str) -> None:
    with refused(85, words):
        execute_python_script(DATASET, OTHER, python_script=python_script)


def test_an_error_about_the_absent_label_says_why_it_is_not_there() -> None:
    unlabeled = DATASET.with_frame(FRAME.drop(columns="n"))
    with refused(69, "The label, 'n', is not there: a web service is not sent it"):
        execute_sql_transformation(unlabeled, "SELECT n FROM t1")
    with refused(85, "The label, 'n', is not there: a web service is not sent it"):
        execute_python_script(unlabeled, python_script=script("return dataframe1[['n']]"))


def test_truths_with_gaps_are_booleans_as_in_files() -> None:
    first, _ = execute_python_script(OTHER, python_script=script("return dataframe1.assign(b=[True, None])"))
    assert first.schema()["columns"][-1] == {"name": "b", "type": "Boolean"}


@pytest.mark.parametrize("returned", ["3", "None", "dataframe1['n']"])
def test_what_is_no_table_is_refused(returned: str) -> None:
    with refused(107, "must return pandas.DataFrame; it returned"):
        execute_python_script(DATASET, python_script=script(f"return {returned}"))


@pytest.mark.parametrize(("columns", "code"), [([0, 1], 155), (["a", "a"], 28)])
def test_tables_have_columns_with_names(columns: list[Any], code: int) -> None:
    body = f"import pandas as pd; return pd.DataFrame([[1, 2]], columns={columns!r})"
    with refused(code):
        execute_python_script(DATASET, python_script=script(body))


def test_what_a_script_makes_can_be_kept(tmp_path: Path) -> None:
    first, second = execute_python_script(DATASET, python_script=script("return dataframe1.assign(new=[1.0, None, 2])"))
    for number, result in enumerate((first, second)):
        result.save(tmp_path / str(number))
        assert_frame_equal(Dataset.load(tmp_path / str(number)).frame, result.frame, check_column_type=False)
    assert first.frame["new"].tolist() == pytest.approx([1, np.nan, 2], nan_ok=True)
