"""Reading the YAML files of the course, with errors that say what is wrong where, and what would be right."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from jsonschema import Draft202012Validator, ValidationError


class DocumentError(ValueError):
    """A file of the course is not as it should be; the message has a line for each fault."""


def read(path: Path, schema: str) -> Any:
    """Return what the YAML file at ``path`` holds.

    Args:
        path: the file.
        schema: the name of a file in ``course/schemas``, such as ``course``.

    Raises:
        DocumentError: it cannot be read, is no YAML, or does not follow the schema.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
    except (OSError, yaml.YAMLError) as error:
        raise DocumentError(f"{path.as_posix()}: {error}") from None
    rules = yaml.load(resources.files("course").joinpath(f"schemas/{schema}.yml").read_text("utf-8"), yaml.CSafeLoader)
    errors = sorted(Draft202012Validator(rules).iter_errors(document), key=lambda error: error.json_path)
    faults = [fault for error in errors for fault in _faults(error)]
    if faults:
        raise DocumentError("\n".join(f"{path.as_posix()}: {fault}" for fault in faults))
    return document


def _faults(error: ValidationError) -> Iterator[str]:
    """One sentence for each fault: the field, the value, and what would be right."""
    where = error.json_path.removeprefix("$").removeprefix(".") or "the file"
    if error.validator == "required":
        for name in error.validator_value:
            if name not in error.instance:
                yield f"{where} lacks {name}: {error.schema['properties'][name]['description']}"
    elif error.validator == "additionalProperties" and error.validator_value is False:
        known = error.schema["properties"]
        for name in error.instance:
            if name not in known:
                yield f"{where} has {name}, which is not known; the fields are {', '.join(known)}"
    else:
        yield f"{where} is {error.instance!r:.80}; right is {error.schema['description']}"
