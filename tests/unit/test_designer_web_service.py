"""What a Designer's web service takes, refuses and answers.

The two formats and the error's shape are those of the Designer's retired engine (PyPI: azureml-designer-serving
0.0.19); types of columns are those of a dataset's schema.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pandas as pd
import pytest
from designer_modules import Dataset, ModuleError
from designer_modules.engine import Engine
from designer_modules.serving import Answer, WebService
from designer_modules.serving.service import find_packaged

TRAINED_WITH = Dataset(
    pd.DataFrame(
        {
            "doors": [2, 4],
            "weight": [0.5, 1.5],
            "new": [True, False],
            "made": pd.to_datetime(["2013-01-01", "2013-07-04"]),
            "sold": pd.to_datetime(["2013-01-01", "2013-07-04"]).tz_localize("America/New_York"),
            "fuel": pd.Categorical(["gas", "diesel"]),
            "name": ["Ä", "b"],
            "price": [1.0, 2.0],
        }
    ),
    {"price": "label"},
)
ROW = {
    "doors": 4,
    "weight": 1.5,
    "new": False,
    "made": "2013-07-04T00:00:00",
    "sold": "2013-07-04T00:00:00-04:00",
    "fuel": "gas",
    "name": "Ä",
}
PARAMETERS: dict[str, dict[str, Any]] = {
    "threshold": {"type": "number", "default": 0.5, "min": 0, "max": 1},
    "count": {"type": "integer", "default": 3},
    "mode": {"type": "string", "default": "fast", "enum": ["fast", "exact"]},
    "verbose": {"type": "boolean", "default": False},
}
asked: list[tuple[Dataset, dict[str, Any]]] = []  # what the component below was called with


def component(dataset: Dataset, threshold: float, count: int, mode: str, verbose: bool) -> Dataset:
    asked.append((dataset, {"threshold": threshold, "count": count, "mode": mode, "verbose": verbose}))
    if mode == "exact":
        raise ModuleError(1, "It is not there.", column="weight", row=1, port="dataset")
    if verbose:
        raise KeyError("a secret of the service")
    return Dataset(dataset.frame.assign(score=dataset.frame["weight"] * 2))


def graph(**changes: Any) -> dict[str, Any]:
    return {
        "nodes": [
            {
                "name": "score",
                "component": "Score Model",
                "module": "any",
                "inputs": {"dataset": {"input": "WebServiceInput0"}},
                "parameters": {name: {"parameter": name} for name in PARAMETERS},
                "outputs": ["scored_dataset"],
            }
        ],
        "inputs": {"WebServiceInput0": {"schema": TRAINED_WITH.schema(), "optional": ["price"]}},
        "outputs": {"WebServiceOutput0": {"node": "score", "port": "scored_dataset"}},
        "parameters": PARAMETERS,
        **changes,
    }


@pytest.fixture
def service() -> WebService:
    asked.clear()
    return WebService(Engine(graph(), find=lambda name: component))


def ask(service: WebService, *rows: Any, parameters: Any = None, **query: str) -> Answer:
    request = {"Inputs": {"WebServiceInput0": list(rows)}, "GlobalParameters": parameters}
    return service.answer("POST", json.dumps(request).encode(), query)


def results(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.body
    return json.loads(answer.body)["Results"]["WebServiceOutput0"]


def details(answer: Answer, status: int = 400) -> list[dict[str, Any]]:
    assert answer.status == status, answer.body
    error = json.loads(answer.body)["error"]
    assert set(error) == {"code", "message", "details"}
    assert error["code"] == status
    return error["details"]


def test_scores_rows_as_the_components_get_them_in_training(service: WebService) -> None:
    answered = results(ask(service, ROW, {**ROW, "weight": 2}))
    assert answered == [{**ROW, "score": 3.0}, {**ROW, "weight": 2.0, "score": 4.0}]
    dataset = asked[0][0]
    expected = TRAINED_WITH.frame.drop(columns="price")
    assert dataset.frame.dtypes.to_dict() == expected.dtypes.to_dict()
    assert list(dataset.frame.columns) == list(expected.columns)
    assert dataset.label == "price"


def test_the_order_of_columns_in_a_request_does_not_matter(service: WebService) -> None:
    results(ask(service, dict(reversed(ROW.items()))))
    assert list(asked[0][0].frame.columns) == list(ROW)


@pytest.mark.parametrize("label", [7.5, None])
def test_takes_the_label_where_it_is_sent(service: WebService, label: float | None) -> None:
    assert results(ask(service, {**ROW, "price": label}))[0]["price"] == label


def test_a_whole_number_stays_one_beside_a_missing_one(service: WebService) -> None:
    """It is not 2.0, a text that no model knows, nor rounded, because another row misses its number."""
    most = 2**53 + 1
    answered = results(ask(service, {**ROW, "doors": most}, {**ROW, "doors": None}))
    assert answered[0]["doors"] == most
    assert str(asked[0][0].frame["doors"].iloc[0]) == str(most)


def test_half_a_character_is_no_text_that_can_be_answered(service: WebService) -> None:
    body = json.dumps({"Inputs": {"WebServiceInput0": [{**ROW, "name": "\ud800"}]}}).encode()
    assert "surrogates not allowed" in details(service.answer("POST", body, {}))[0]["reason"]
    assert results(ask(service, {**ROW, "name": "\U0001f600"}))[0]["name"] == "\U0001f600"


@pytest.mark.parametrize("column", list(ROW))
@pytest.mark.parametrize("missing", [None, {"isNan": True}])
def test_a_missing_value_stays_one(service: WebService, column: str, missing: Any) -> None:
    answered = results(ask(service, ROW, {**ROW, column: missing}))
    assert asked[0][0].frame[column].isna().tolist() == [False, True]
    assert answered[1][column] is None
    assert answered[0][column] == ROW[column]


@pytest.mark.parametrize(
    ("column", "value", "same_as"),
    [
        ("doors", 3.0, 3),
        ("weight", 7, 7.0),
        ("made", "2013-07-04", "2013-07-04T00:00:00"),
        ("sold", "2013-07-04T04:00:00Z", "2013-07-04T00:00:00-04:00"),
        ("sold", "2013-01-04T05:00:00", "2013-01-04T00:00:00-05:00"),
        ("made", "2013-07-04T02:30:00+02:00", "2013-07-04T00:30:00"),
        ("made", "2013-07-04T00:30:00.5Z", "2013-07-04T00:30:00.500000"),
        ("name", "", ""),
    ],
)
def test_takes_what_other_languages_write(service: WebService, column: str, value: Any, same_as: Any) -> None:
    assert results(ask(service, {**ROW, column: value}))[0][column] == same_as


@pytest.mark.parametrize(
    ("column", "value", "said"),
    [
        ("doors", "4", '"4" is no whole number'),
        ("doors", 4.5, "4.5 is no whole number"),
        ("doors", True, "true is no whole number"),
        ("doors", 2**63, "too large"),
        ("doors", 10**400, "too large"),
        ("doors", {"isNan": False}, "is no whole number"),
        ("weight", "1.5", '"1.5" is no number'),
        ("weight", False, "false is no number"),
        ("weight", [1], "[1] is no number"),
        ("weight", 10**400, "too large"),
        ("weight", float("nan"), "NaN is no value in JSON; where a value is missing, send null"),
        ("weight", float("inf"), "Infinity is no value in JSON"),
        ("weight", float("-inf"), "-Infinity is no value in JSON"),
        ("new", 1, "1 is neither true nor false"),
        ("new", "true", '"true" is neither true nor false'),
        ("made", "4.7.2013", "ISO 8601"),
        ("made", 1372896000, "ISO 8601"),
        ("made", "0001-01-01T00:00:00+14:00", "ISO 8601"),
        ("fuel", "steam", '"steam" is none of the categories: "diesel", "gas".'),
        ("fuel", "Gas", "none of the categories"),
        ("fuel", 0, "none of the categories"),
        ("fuel", {}, "none of the categories"),
        ("name", 5, "5 is no text"),
        ("name", float("nan"), "NaN is no value in JSON"),
        ("price", "free", '"free" is no number'),
    ],
)
def test_refuses_a_value_of_another_type(service: WebService, column: str, value: Any, said: str) -> None:
    good = {**ROW, "price": 1.0}
    (problem,) = details(ask(service, good, {**good, column: value}, good))
    assert said in problem.pop("reason")
    assert problem == {"input": "WebServiceInput0", "column": column, "row": 1}
    assert not asked


def test_a_number_that_python_reads_as_infinite_is_refused(service: WebService) -> None:
    text = json.dumps({"Inputs": {"WebServiceInput0": [ROW]}}).replace("1.5", "1e999")
    (problem,) = details(service.answer("POST", text.encode(), {}))
    assert problem["column"] == "weight"
    assert "too large" in problem["reason"]


def test_names_every_column_that_is_wrong(service: WebService) -> None:
    wrong = {**ROW, "doors": "x", "weight": "y", "extra": 1}
    del wrong["name"]
    answer = ask(service, wrong)
    assert {problem["column"] for problem in details(answer)} == {"doors", "weight", "extra", "name"}
    message = json.loads(answer.body)["error"]["message"]
    assert message.startswith("Input Data Error. ")
    assert message.endswith("And 3 more; see details.")


def test_a_missing_column_is_named_with_its_type(service: WebService) -> None:
    (problem,) = details(ask(service, {name: value for name, value in ROW.items() if name != "fuel"}))
    assert problem == {
        "input": "WebServiceInput0",
        "column": "fuel",
        "reason": "The column is missing; its type is Categorical.",
    }


def test_a_column_that_only_some_rows_have_is_named_with_the_row(service: WebService) -> None:
    problems = details(ask(service, ROW, {**ROW, "price": 3}, ROW))
    assert [(one["column"], one["row"]) for one in problems] == [("price", 1)]
    problems = details(ask(service, {**ROW, "price": 3}, ROW))
    assert [(one["column"], one["row"]) for one in problems] == [("price", 1)]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no JSON"),
        (b"{", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        (b"[" * 100_000, "no JSON"),
        (b'{"Inputs": {"WebServiceInput0": [{"doors": ' + b"1" * 5000 + b"}]}}", "no JSON"),
        (b"[]", "looks like this"),
        (b"{}", "looks like this"),
        (b'{"inputs": {}}', "looks like this"),
        (b'{"Inputs": []}', "looks like this"),
        (b'{"Inputs": {}, "GlobalParameters": [1]}', "GlobalParameters is [1], not an object"),
        (b'{"Inputs": {}, "globalParameters": {}}', "'globalParameters' is no part of a request"),
        (b'{"Inputs": {}}', "The input is missing"),
        (b'{"Inputs": {"input1": [{}], "WebServiceInput0": [{}]}}', "no such input; there is: WebServiceInput0"),
        (b'{"Inputs": {"WebServiceInput0": {}}}', "{}, not an array of rows"),
        (b'{"Inputs": {"WebServiceInput0": []}}', "There are no rows"),
        (b'{"Inputs": {"WebServiceInput0": [[1, 2]]}}', "[1, 2], not an object"),
    ],
)
def test_refuses_what_is_no_request(service: WebService, body: bytes, said: str) -> None:
    problems = details(service.answer("POST", body, {}))
    assert said in problems[0]["reason"]
    assert not asked


def test_a_byte_order_mark_does_no_harm(service: WebService) -> None:
    body = json.dumps({"Inputs": {"WebServiceInput0": [ROW]}}).encode("utf-8-sig")
    assert service.answer("POST", body, {}).status == 200


# --- GlobalParameters ---


def test_parameters_have_their_defaults_or_what_is_sent(service: WebService) -> None:
    results(ask(service, ROW))
    results(ask(service, ROW, parameters={"threshold": 1, "count": 5}))
    defaults = {name: one["default"] for name, one in PARAMETERS.items()}
    assert [given for _, given in asked] == [defaults, {**defaults, "threshold": 1.0, "count": 5}]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("treshold", 0.5, "no such parameter; it has: threshold, count, mode, verbose"),
        ("threshold", "0.5", '"0.5" is no number'),
        ("threshold", True, "true is no number"),
        ("threshold", None, "null is no number"),
        ("threshold", float("nan"), "NaN is no value in JSON"),
        ("threshold", 1.5, "1.5 is more than 1"),
        ("threshold", -1, "-1 is less than 0"),
        ("count", 1.5, "1.5 is no whole number"),
        ("count", 10**30, "too large"),
        ("threshold", 10**400, "too large"),
        ("mode", "slow", '"slow" is none of: fast, exact'),
        ("verbose", "true", '"true" is neither true nor false'),
        ("verbose", 1, "1 is neither true nor false"),
    ],
)
def test_refuses_wrong_parameters(service: WebService, name: str, value: Any, said: str) -> None:
    (problem,) = details(ask(service, ROW, parameters={name: value}))
    assert said in problem["reason"]
    assert problem["parameter"] == name
    assert not asked


def test_a_parameter_without_default_must_be_sent() -> None:
    declared = {**PARAMETERS, "count": {"type": "integer"}}
    service = WebService(Engine(graph(parameters=declared), find=lambda name: component))
    (problem,) = details(ask(service, ROW))
    assert problem["parameter"] == "count"
    assert ask(service, ROW, parameters={"count": 1}).status == 200


# --- what components say ---


def test_what_a_component_cannot_use_is_answered_with_its_place(service: WebService) -> None:
    answer = ask(service, ROW, parameters={"mode": "exact"})
    assert details(answer) == [
        {
            "node": "score",
            "component": "Score Model",
            "port": "dataset",
            "column": "weight",
            "row": 1,
            "reason": "Error 0001: It is not there.",
        }
    ]
    assert json.loads(answer.body)["error"]["message"].startswith("Module Executing Error. Error 0001: ")


def test_a_component_that_breaks_is_the_services_fault_and_tells_no_more(
    service: WebService, caplog: pytest.LogCaptureFixture
) -> None:
    answer = ask(service, ROW, parameters={"verbose": True})
    (problem,) = details(answer, 500)
    assert problem == {"node": "score", "component": "Score Model", "reason": "KeyError; the log says why."}
    assert "a secret" not in answer.body
    assert "a secret of the service" in caplog.text  # the log has the whole of it, with where it was raised


# --- answers ---


def test_the_classic_format(service: WebService) -> None:
    table = {"ColumnNames": list(ROW), "Values": [list(ROW.values())]}
    body = json.dumps({"Inputs": {"WebServiceInput0": table}, "GlobalParameters": {}}).encode()
    answered = json.loads(service.answer("POST", body, {"format": "classic", "details": "true"}).body)
    assert answered == {
        "WebServiceOutput0": {
            "type": "DataTable",
            "value": {
                "ColumnNames": [*ROW, "score"],
                "ColumnTypes": [
                    "Integer",
                    "Double",
                    "Boolean",
                    "DateTime",
                    "DateTime",
                    "Categorical",
                    "String",
                    "Double",
                ],
                "Values": [[*ROW.values(), 3.0]],
            },
        }
    }
    without = json.loads(service.answer("POST", body, {"format": "classic"}).body)
    del answered["WebServiceOutput0"]["value"]["ColumnTypes"]
    assert without == answered


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ([ROW], "no object with ColumnNames and Values"),
        ({"ColumnNames": list(ROW)}, "no object with ColumnNames and Values"),
        ({"ColumnNames": [1], "Values": [[1]]}, "no object with ColumnNames and Values"),
        ({"ColumnNames": list(ROW), "Values": []}, "There are no rows"),
        ({"ColumnNames": list(ROW), "Values": [[1]]}, "[1], not an array of 7 values"),
        ({"ColumnNames": ["doors", "doors"], "Values": [[1, 2]]}, "named twice"),
    ],
)
def test_refuses_what_is_not_classic(service: WebService, table: Any, said: str) -> None:
    body = json.dumps({"Inputs": {"WebServiceInput0": table}}).encode()
    (problem,) = details(service.answer("POST", body, {"format": "classic"}))
    assert said in problem["reason"]


def test_refuses_other_formats_and_methods(service: WebService) -> None:
    assert "swagger and classic" in details(ask(service, ROW, format="csv"))[0]["reason"]
    assert "POST" in details(service.answer("GET", b"", {}), 405)[0]["reason"]


def answered_with(frame: pd.DataFrame) -> Answer:
    passed = {"nodes": [], "inputs": {"in": {"schema": {"columns": []}}}, "outputs": {"out": {"input": "in"}}}
    service = WebService(Engine(passed))
    service.score = lambda request, warnings=None: {"out": Dataset(frame)}  # type: ignore[method-assign]
    return service.answer("POST", b'{"Inputs": {"in": [{}]}}', {})


def test_every_type_of_column_can_be_answered() -> None:
    frame = pd.DataFrame(
        {
            "float32": np.array([0.5, np.nan], dtype=np.float32),
            "Int64": pd.array([2**60 + 1, None], dtype="Int64"),
            "boolean": pd.array([True, None], dtype="boolean"),
            "object": [np.int64(3), None],
            "zoned": pd.to_datetime(["2013-07-04T00:00:00Z", None]),
            "category": pd.Categorical([1, None]),
            "text": pd.array(["a", None], dtype="str"),
            "uint8": np.array([1, 2], dtype=np.uint8),
        }
    )
    answer = answered_with(frame)
    assert answer.status == 200, answer.body
    first, second = json.loads(answer.body)["Results"]["out"]
    assert first == {
        "float32": 0.5,
        "Int64": 2**60 + 1,
        "boolean": True,
        "object": 3,
        "zoned": "2013-07-04T00:00:00+00:00",
        "category": 1,
        "text": "a",
        "uint8": 1,
    }
    assert second == {**dict.fromkeys(frame.columns), "uint8": 2}


@pytest.mark.parametrize(
    ("frame", "place"),
    [
        (pd.DataFrame({"a": [1.0, np.inf]}), {"column": "a", "row": 1}),
        (pd.DataFrame({"a": [1.0, -np.inf, np.nan]}), {"column": "a", "row": 1}),
    ],
)
def test_what_json_cannot_hold_is_no_answer(frame: pd.DataFrame, place: dict[str, Any]) -> None:
    (problem,) = details(answered_with(frame))
    assert place.items() <= problem.items()
    assert problem["output"] == "out"


# --- where code may come from ---


@pytest.mark.parametrize(
    "name",
    ["os.system", "subprocess.check_output", "../evil.run", "prices.score_prices", "designer.graph.Graph", "run"],
)
def test_a_package_names_only_modules_that_it_brings(name: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        find_packaged(name)


def test_finds_the_modules_of_the_package() -> None:
    assert find_packaged("transformations.select_columns_in_dataset").__name__ == "select_columns_in_dataset"


# --- many rows ---


@pytest.mark.slow
def test_100_000_rows_at_once(service: WebService) -> None:
    rows = [{**ROW, "weight": float(number)} for number in range(100_000)]
    answered = results(ask(service, *rows))
    assert [row["score"] for row in answered] == [2.0 * number for number in range(100_000)]
    rows[98_765]["fuel"] = "steam"
    (problem,) = details(ask(service, *rows))
    assert (problem["column"], problem["row"]) == ("fuel", 98_765)
