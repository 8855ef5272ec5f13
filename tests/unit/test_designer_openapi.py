"""The OpenAPI documents of a web service, held against what the service takes and gives.

The documents themselves are checked by their parts: that every reference leads somewhere, and that what a JSON schema
made of them says of a request is what the service says. (openapi-spec-validator, which has the OpenAPI Initiative's own
schemas, finds both versions valid; it is not among the packages that are installed here.)
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import jsonschema
import pandas as pd
import pytest
from designer_modules import Dataset
from designer_modules.engine import Engine
from designer_modules.serving import WebService

from designer import openapi

TRAINED_WITH = Dataset(
    pd.DataFrame(
        {
            "doors": [2],
            "weight": [0.5],
            "new": [True],
            "made": pd.to_datetime(["2013-01-01"]),
            "fuel": pd.Categorical(["gas"], categories=["gas", "diesel"]),
            "size": pd.Categorical([1], categories=[1, 2]),
            "name": ["Ä"],
            "price": [1.0],
        }
    ),
    {"price": "label"},
)
ROW = {
    "doors": 4,
    "weight": 1.5,
    "new": False,
    "made": "2013-07-04T00:00:00",
    "fuel": "gas",
    "size": 2,
    "name": "Ä",
}
COLUMNS = [{"name": name, "type": kind} for name, kind in (("doors", "Integer"), ("Scored Labels", "Double"))]
CONTRACT: dict[str, Any] = {
    "name": "cars",
    "nodes": [],
    "inputs": {
        "WebServiceInput0": {"schema": TRAINED_WITH.schema(), "optional": ["price"], "example": [ROW]},
    },
    "outputs": {
        "WebServiceOutput0": {
            "input": "WebServiceInput0",
            "columns": COLUMNS,
            "example": [{"doors": 4, "Scored Labels": 3.0}],
        }
    },
    "parameters": {
        "threshold": {"type": "number", "default": 0.5, "min": 0, "max": 1, "description": "From where on."},
        "mode": {"type": "string", "default": "fast", "enum": ["fast", "exact"]},
    },
}
VERSIONS = {"2.0": openapi.version_2, "3.0": openapi.version_3}


def schemas(document: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas of a document, by name."""
    found: dict[str, Any] = document.get("definitions") or document["components"]["schemas"]
    return found


def as_json_schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    """Return a schema as a plain JSON schema, where null has to be said."""

    def translate(value: Any) -> Any:
        if isinstance(value, list):
            return [translate(one) for one in value]
        if not isinstance(value, dict):
            return value
        made = {key: translate(one) for key, one in value.items() if key not in ("example", "nullable", "x-nullable")}
        if (value.get("nullable") or value.get("x-nullable")) and "type" in made:
            made["type"] = [made["type"], "null"]
        return made

    whole: dict[str, Any] = translate({key: value for key, value in document.items() if key != "paths"})
    prefix = "#/definitions/" if "definitions" in document else "#/components/schemas/"
    return {**whole, "$ref": prefix + name}


@pytest.fixture(params=list(VERSIONS))
def document(request: pytest.FixtureRequest) -> dict[str, Any]:
    make: Callable[[dict[str, Any]], dict[str, Any]] = VERSIONS[request.param]
    return json.loads(json.dumps(make(CONTRACT)))


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    found = list(references(document))
    assert found
    for reference in found:
        place: Any = document
        for part in reference.removeprefix("#/").split("/"):
            place = place[part]


def test_says_which_version_and_how_to_ask(document: dict[str, Any]) -> None:
    assert document.get("swagger", document.get("openapi")) in ("2.0", "3.0.3")
    assert document["info"]["title"] == "cars"
    operation = document["paths"]["/score"]["post"]
    (scheme,) = operation["security"]
    assert scheme.keys() == (document.get("securityDefinitions") or document["components"]["securitySchemes"]).keys()
    assert {"200", "400", "default"} == operation["responses"].keys()
    assert {one["name"] for one in operation["parameters"]} >= {"format", "details"}


def test_has_the_real_columns_types_and_categories(document: dict[str, Any]) -> None:
    row = schemas(document)["WebServiceInput0Row"]
    assert list(row["properties"]) == [*ROW, "price"]
    assert row["required"] == list(ROW)  # the label may be left out
    types = {name: column.get("type") for name, column in row["properties"].items()}
    assert types == {
        "doors": "integer",
        "weight": "number",
        "new": "boolean",
        "made": "string",
        "fuel": "string",
        "size": "integer",
        "name": "string",
        "price": "number",
    }
    assert row["properties"]["fuel"]["enum"] == ["gas", "diesel", None]
    assert schemas(document)["WebServiceOutput0Row"]["properties"].keys() == {"doors", "Scored Labels"}


def test_has_the_parameters_and_their_bounds(document: dict[str, Any]) -> None:
    declared = schemas(document)["ServiceInput"]["properties"]["GlobalParameters"]["properties"]
    assert declared["threshold"] == {
        "type": "number",
        "format": "double",
        "default": 0.5,
        "minimum": 0,
        "maximum": 1,
        "description": "From where on.",
    }
    assert declared["mode"]["enum"] == ["fast", "exact"]


def test_the_examples_are_what_the_schemas_say(document: dict[str, Any]) -> None:
    for name in ("ServiceInput", "ServiceOutput"):
        jsonschema.validate(schemas(document)[name]["example"], as_json_schema(document, name))


REQUESTS: list[tuple[Any, bool]] = [
    ({"Inputs": {"WebServiceInput0": [ROW]}}, True),
    ({"Inputs": {"WebServiceInput0": [ROW, {**ROW, "doors": None}]}, "GlobalParameters": {}}, True),
    ({"Inputs": {"WebServiceInput0": [{**ROW, "price": 3.5}]}, "GlobalParameters": {"threshold": 1}}, True),
    ({"Inputs": {"WebServiceInput0": [dict.fromkeys(ROW)]}}, True),
    ({"Inputs": {"WebServiceInput0": []}}, False),
    ({"Inputs": {}}, False),
    ({"Inputs": {"WebServiceInput0": ROW}}, False),
    ({"Inputs": {"WebServiceInput0": [{**ROW, "doors": "4"}]}}, False),
    ({"Inputs": {"WebServiceInput0": [{**ROW, "doors": 4.5}]}}, False),
    ({"Inputs": {"WebServiceInput0": [{**ROW, "fuel": "steam"}]}}, False),
    ({"Inputs": {"WebServiceInput0": [{**ROW, "size": 3}]}}, False),
    ({"Inputs": {"WebServiceInput0": [{**ROW, "new": 1}]}}, False),
    ({"Inputs": {"WebServiceInput0": [{**ROW, "extra": 1}]}}, False),
    ({"Inputs": {"WebServiceInput0": [{name: ROW[name] for name in ROW if name != "name"}]}}, False),
    ({"Inputs": {"WebServiceInput0": [ROW]}, "GlobalParameters": {"threshold": 2}}, False),
    ({"Inputs": {"WebServiceInput0": [ROW]}, "GlobalParameters": {"threshold": "1"}}, False),
    ({"Inputs": {"WebServiceInput0": [ROW]}, "GlobalParameters": {"mode": "slow"}}, False),
    ({"Inputs": {"WebServiceInput0": [ROW]}, "GlobalParameters": {"unknown": 1}}, False),
    ({"Inputs": {"WebServiceInput0": [ROW]}, "Parameters": {}}, False),
]


@pytest.mark.parametrize(("request_", "right"), REQUESTS)
def test_the_schema_and_the_service_say_the_same(document: dict[str, Any], request_: Any, right: bool) -> None:
    validator = jsonschema.Draft7Validator(as_json_schema(document, "ServiceInput"))
    assert validator.is_valid(request_) is right
    answer = WebService(Engine(CONTRACT)).answer("POST", json.dumps(request_).encode(), {})
    assert (answer.status == 200) is right, answer.body


def test_a_refusal_is_what_the_schema_says(document: dict[str, Any]) -> None:
    answer = WebService(Engine(CONTRACT)).answer("POST", b"{}", {})
    jsonschema.validate(json.loads(answer.body), as_json_schema(document, "ErrorResponse"))
