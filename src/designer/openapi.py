"""The OpenAPI documents of a web service: its real columns, types, categories and parameters, and an example.

Azure's inference server hands them out at ``/swagger.json`` (version 2) and ``/swagger.json?version=3`` where they lie
beside the scoring script. Version 2 has no ``nullable``, so ``x-nullable`` stands for it, as Azure's own documents do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

JSON_TYPES: dict[str, dict[str, Any]] = {
    "Integer": {"type": "integer", "format": "int64"},
    "Double": {"type": "number", "format": "double"},
    "Boolean": {"type": "boolean"},
    "DateTime": {"type": "string", "format": "date-time"},
    "String": {"type": "string"},
    "Image": {"type": "string", "description": "An image file as a data URI: data:image/png;base64,..."},
}
PARAMETER_TYPES = {"string": "String", "integer": "Integer", "number": "Double", "boolean": "Boolean"}
SUMMARY = "Score rows"
REFUSED = "The request cannot be scored: what is wrong with it, and where."
FAILED = "The service failed; its log says why."
Reference = Callable[[str], dict[str, str]]


def example_request(contract: Mapping[str, Any]) -> dict[str, Any]:
    """Return a request with the example of each input, and the defaults of the parameters.

    Args:
        contract: the content of a package's ``graph.json``.
    """
    inputs = {name: one["example"] for name, one in contract["inputs"].items()}
    parameters = {
        name: one["default"] for name, one in contract["parameters"].items() if one.get("default") is not None
    }
    return {"Inputs": inputs, "GlobalParameters": parameters}


def example_answer(contract: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answer to the example."""
    return {"Results": {name: one["example"] for name, one in contract["outputs"].items()}}


def version_2(contract: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of version 2.0."""
    body = {"in": "body", "name": "request", "required": True, "schema": {"$ref": "#/definitions/ServiceInput"}}
    query = [
        {"in": "query", "name": name, "description": words, "type": "string", "enum": values}
        for name, values, words in _QUERY
    ]
    operation = {
        **_operation(),
        "consumes": ["application/json"],
        "produces": ["application/json"],
        "parameters": [body, *query],
        "responses": {
            "200": {"description": "The scored rows.", "schema": {"$ref": "#/definitions/ServiceOutput"}},
            "400": {"description": REFUSED, "schema": {"$ref": "#/definitions/ErrorResponse"}},
            "default": {"description": FAILED, "schema": {"$ref": "#/definitions/ErrorResponse"}},
        },
    }
    return {
        "swagger": "2.0",
        "info": _info(contract),
        "schemes": ["https"],
        "paths": {"/score": {"post": operation}},
        "definitions": _schemas(contract, "#/definitions/", "x-nullable"),
        "securityDefinitions": {"Bearer": _BEARER},
    }


def version_3(contract: Mapping[str, Any]) -> dict[str, Any]:
    """Return the document of version 3.0."""

    def content(name: str) -> dict[str, Any]:
        return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}

    operation = {
        **_operation(),
        "parameters": [
            {"in": "query", "name": name, "description": words, "schema": {"type": "string", "enum": values}}
            for name, values, words in _QUERY
        ],
        "requestBody": {"required": True, "content": content("ServiceInput")},
        "responses": {
            "200": {"description": "The scored rows.", "content": content("ServiceOutput")},
            "400": {"description": REFUSED, "content": content("ErrorResponse")},
            "default": {"description": FAILED, "content": content("ErrorResponse")},
        },
    }
    return {
        "openapi": "3.0.3",
        "info": _info(contract),
        "paths": {"/score": {"post": operation}},
        "components": {
            "schemas": _schemas(contract, "#/components/schemas/", "nullable"),
            "securitySchemes": {"Bearer": _BEARER},
        },
    }


_BEARER = {"type": "apiKey", "name": "Authorization", "in": "header", "description": "Bearer, a space, and the key."}


def _info(contract: Mapping[str, Any]) -> dict[str, str]:
    return {"title": contract["name"], "version": "1.0", "description": "A web service of a Designer's graph."}


def _operation() -> dict[str, Any]:
    return {"operationId": "score", "summary": SUMMARY, "security": [{"Bearer": []}]}


# The parameters of the address: name, values, and what they mean.
_QUERY = (
    ("format", ["swagger", "classic"], "swagger: an object for each row, as here. classic: ColumnNames and Values."),
    ("details", ["true", "false"], "In a classic answer, the types of the columns, too."),
)


def _schemas(contract: Mapping[str, Any], references: str, nullable: str) -> dict[str, Any]:
    rows = {
        f"{name}Row": _row(one["schema"]["columns"], one.get("optional", ()), one["example"], nullable)
        for name, one in contract["inputs"].items()
    }
    rows |= {
        f"{name}Row": _row(one["columns"], (), one["example"], nullable) for name, one in contract["outputs"].items()
    }

    def tables(names: Mapping[str, Any]) -> dict[str, Any]:
        arrays = {name: {"type": "array", "items": {"$ref": f"{references}{name}Row"}} for name in names}
        return {"type": "object", "required": list(names), "properties": arrays}

    asked = {"Inputs": tables(contract["inputs"]), "GlobalParameters": _parameters(contract["parameters"])}
    for table in asked["Inputs"]["properties"].values():
        table["minItems"] = 1
    return {
        **rows,
        "ServiceInput": {
            "type": "object",
            "required": ["Inputs"],
            "properties": asked,
            "additionalProperties": False,
            "example": example_request(contract),
        },
        "ServiceOutput": {
            "type": "object",
            "required": ["Results"],
            "properties": {"Results": tables(contract["outputs"]), "Warnings": _WARNINGS},
            "example": example_answer(contract),
        },
        "ErrorResponse": _ERROR,
    }


_WARNINGS = {
    "type": "array",
    "items": {"type": "object"},
    "description": "The components that made more or fewer rows of those sent, e.g. because a value is missing.",
}

_ERROR = {
    "type": "object",
    "properties": {
        "error": {
            "type": "object",
            "properties": {
                "code": {"type": "integer"},
                "message": {"type": "string"},
                "details": {"type": "array", "items": {"type": "object"}},
            },
        }
    },
}


def _row(
    columns: Sequence[Mapping[str, Any]], optional: Sequence[str], example: Sequence[Any], nullable: str
) -> dict[str, Any]:
    required = [column["name"] for column in columns if column["name"] not in optional]
    row: dict[str, Any] = {
        "type": "object",
        "properties": {column["name"]: {**_value(column), nullable: column["type"] != "Image"} for column in columns},
        "additionalProperties": False,
    }
    if required:
        row["required"] = required
    if example:
        row["example"] = example[0]
    return row


def _value(column: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schema of a column's values. A categorical one says its categories, and null for none."""
    if column["type"] != "Categorical":
        return JSON_TYPES[column["type"]]
    categories = list(column.get("categories", ()))
    kind = next(
        (name for name, types in _PYTHON_TYPES.items() if all(isinstance(one, types) for one in categories)), None
    )
    schema: dict[str, Any] = {"type": kind} if kind else {}
    return {**schema, "enum": [*categories, None]} if categories else schema


_PYTHON_TYPES: dict[str, Any] = {"string": str, "boolean": bool, "integer": int, "number": (int, float)}


def _parameters(declared: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: _parameter(one) for name, one in declared.items()},
        "additionalProperties": False,
    }


def _parameter(declared: Mapping[str, Any]) -> dict[str, Any]:
    schema: dict[str, Any] = dict(JSON_TYPES[PARAMETER_TYPES[declared["type"]]])
    names = {"default": "default", "enum": "enum", "minimum": "min", "maximum": "max", "description": "description"}
    schema |= {name: declared[ours] for name, ours in names.items() if declared.get(ours) is not None}
    return schema
