"""Reads MLTable files: which files a table has, and what is to be done with them.

https://learn.microsoft.com/azure/machine-learning/reference-yaml-mltable
What is not served is refused by its name. One without a step that reads describes files, not rows.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

FILE = "MLTable"
READERS = ("read_delimited", "read_json_lines", "read_parquet")
STEPS = ("keep_columns", "drop_columns", "convert_column_types", "extract_columns_from_partition_format")
PARTITIONS = "extract_columns_from_partition_format"
HEADERS = ("no_header", "from_first_file", "all_files_different_headers", "all_files_same_headers")
TYPES = ("int", "float", "string", "boolean", "datetime")
CODECS = {
    "utf8": "utf-8",
    "utf8bom": "utf-8-sig",
    "iso88591": "latin-1",
    "latin1": "latin-1",
    "ascii": "ascii",
    "utf16": "utf-16",
    "utf32": "utf-32",
    "windows1252": "cp1252",
}
TIMES = {"yyyy": "(?P<{}year>[0-9]{{4}})"} | {
    part: f"(?P<{{}}{name}>[0-9]{{{{2}}}})"
    for part, name in (("MM", "month"), ("dd", "day"), ("HH", "hour"), ("mm", "minute"), ("ss", "second"))
}
LONGEST_SHOWN = 60
PLACE = re.compile(r"\{([^{}:]+)(?::([^{}]+))?\}")


class TableError(Exception):
    """An MLTable file cannot be read, or asks for what is not served."""


@dataclass(frozen=True)
class PartitionFormat:
    """What a file's path says: the names of columns, and the expression that finds their values."""

    columns: tuple[tuple[str, str], ...]  # the name, and the format of a time or nothing
    expression: re.Pattern[str]

    def columns_of(self, file: str) -> dict[str, Any]:
        """Return the columns that a path holds; a time as ``{"time": …}``.

        Raises:
            TableError: the path has another form.
        """
        found = self.expression.search("/" + file)
        if found is None:
            raise TableError(f"The path {file} is not of the form that {PARTITIONS} says.")
        return {
            name: _time(found, f"c{number}_", time) if time else found[f"c{number}"]
            for number, (name, time) in enumerate(self.columns)
        }


@dataclass(frozen=True)
class Table:
    """What an MLTable file says.

    Args:
        files: paths below its folder.
        format: the step that reads them; None where the table is one of files.
        options: of that step, ``codec`` among them.
        steps: names and values of the others, in order.
        partitions: what the files' paths say; None where nothing is to be taken from them.
    """

    files: list[str]
    format: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[tuple[str, Any], ...] = ()
    partitions: PartitionFormat | None = None


def read(folder: Path) -> Table:
    """Read the MLTable file in a folder.

    Raises:
        TableError: there is none, it is none, or it asks for what is not served.
    """
    try:
        content = yaml.safe_load((folder / FILE).read_text())
    except FileNotFoundError as error:
        raise TableError("There is no file MLTable in the input of type mltable.") from error
    except (yaml.YAMLError, ValueError, RecursionError, OSError) as error:
        raise TableError(f"The file MLTable cannot be read: {error}") from error
    if not isinstance(content, dict):
        raise TableError("The file MLTable is no YAML mapping.")
    steps = [_step(given) for given in _listed(content, "transformations")]
    readers = [step for step in steps if step[0] in READERS]
    if len(readers) > 1 or (readers and steps[0] != readers[0]):
        raise TableError("The file MLTable must have at most one transformation that reads files, as the first.")
    others = tuple(step for step in steps if step not in readers)
    unread = [name for name, _ in others if name != PARTITIONS]
    if unread and not readers:
        raise TableError(f"The file MLTable has {unread[0]} and nothing that reads rows, such as read_delimited.")
    for name, given in others:
        _require_valid(name, given)
    formats = [_partition_format(given) for name, given in others if name == PARTITIONS]
    return Table(
        _files(folder, _listed(content, "paths")),
        readers[0][0] if readers else None,
        _options(*readers[0]) if readers else {},
        others,
        formats[0] if formats else None,
    )


def files_below(folder: Path) -> list[str]:
    """Return the paths of the files in a folder and its folders, in order."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def _listed(content: Mapping[str, Any], name: str) -> list[Any]:
    """Return a member of the file that must be a list."""
    given = content.get(name)
    if given is not None and not isinstance(given, list):
        raise TableError(f"{name} of the file MLTable is {str(given)[:LONGEST_SHOWN]}. It must be a list.")
    return given or []


def _step(given: Any) -> tuple[str, Any]:
    """Return the name and the value of a transformation."""
    name, value = next(iter(given.items())) if isinstance(given, dict) and len(given) == 1 else (given, {})
    if name not in (*READERS, *STEPS):
        raise TableError(
            f"azureml-local lacks the transformation {name} of MLTable files. It has {', '.join((*READERS, *STEPS))}."
        )
    return name, value


def _options(name: str, given: Any) -> Mapping[str, Any]:
    """Return the options of a step that reads; refuse those that no file can be read with."""
    if given is not None and not isinstance(given, dict):
        raise TableError(f"{name} has {str(given)[:LONGEST_SHOWN]}. It must have options such as 'delimiter: \",\"'.")
    options = given or {}
    encoding = str(options.get("encoding", "utf8"))
    if encoding not in CODECS:
        raise TableError(f"{name} has the encoding {encoding}. It must be one of {', '.join(CODECS)}.")
    header = str(options.get("header", "all_files_same_headers"))
    if name == "read_delimited" and header not in HEADERS:
        raise TableError(f"{name} has the header {header}. It must be one of {', '.join(HEADERS)}.")
    return {**options, "codec": CODECS[encoding]}


def _require_valid(name: str, given: Any) -> None:
    if name == "convert_column_types":
        for conversion in given if isinstance(given, list) else [given]:
            kind = conversion.get("column_type") if isinstance(conversion, dict) else None
            kind = next(iter(kind), None) if isinstance(kind, dict) else kind
            if kind not in TYPES or not conversion.get("columns"):
                raise TableError(
                    f"convert_column_types has {conversion}. Its column_type is one of {', '.join(TYPES)}."
                )
    elif name != PARTITIONS and not given:
        raise TableError(f"{name} names no columns.")


def _files(folder: Path, paths: list[Any]) -> list[str]:
    """Return the paths of a table's files, each once."""
    found: dict[str, None] = {}
    for given in paths:
        kind, path = next(iter(given.items())) if isinstance(given, dict) and len(given) == 1 else (None, given)
        if kind not in ("file", "folder", "pattern"):
            raise TableError(f"The file MLTable has the path {given}. It must be a file, a folder or a pattern.")
        try:
            found.update(dict.fromkeys(_matching(folder, kind, str(path))))
        except (ValueError, IndexError, OSError) as error:  # so says pathlib that a pattern, or a name, is none
            raise TableError(
                f"The {kind} {str(path)[:LONGEST_SHOWN]!r} of the file MLTable is wrong: {error}"
            ) from error
    return list(found)


def _matching(folder: Path, kind: str, path: str) -> list[str]:
    if "://" in path or PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise TableError(f"azureml-local lacks paths that lie outside the folder of the MLTable file, such as {path}.")
    relative = PurePosixPath(path).as_posix()
    if kind == "pattern":
        if any("**" in part and part != "**" for part in relative.split("/")):  # which pathlib takes since Python 3.13
            raise ValueError("'**' can only be an entire path component")
        found = [one for one in folder.glob(relative) if one.is_file() and one != folder / FILE]
        return sorted(one.relative_to(folder).as_posix() for one in found)
    place = folder / relative
    if kind == "folder" and place.is_dir():
        return [
            name
            for name in (one.relative_to(folder).as_posix() for one in sorted(place.rglob("*")) if one.is_file())
            if name != FILE
        ]
    if kind == "file" and place.is_file():
        return [relative]
    raise TableError(f"The {kind} {path}, which the file MLTable names, does not exist.")


def _partition_format(given: Any) -> PartitionFormat:
    """Return what a partition format says. It begins with its first column: how the path begins does not matter."""
    text = given
    if isinstance(given, dict):
        # The reference writes {column:yyyy/MM/dd}, which YAML takes for a mapping.
        text = given.get("partition_format") or (f"{{{next(iter(given))}}}" if len(given) == 1 else None)
    columns: list[tuple[str, str]] = []
    if not isinstance(text, str) or not PLACE.search(text):
        raise TableError(f"{PARTITIONS} is {given}. It must be such as '{{column}}/{{file_name}}.{{extension}}'.")
    expression, end = "", 0
    for place in PLACE.finditer(text):
        expression += _literal(text[end : place.start()])
        number, time = f"c{len(columns)}", place[2] or ""
        expression += _time_expression(time, f"{number}_") if time else f"(?P<{number}>[^/]+?)"
        columns.append((place[1].strip(), time))
        end = place.end()
    expression += _literal(text[end:])
    return PartitionFormat(tuple(columns), re.compile(f"/{expression.removeprefix('/')}$"))


def _literal(text: str) -> str:
    return re.escape(text.removeprefix("./")).replace(r"\*", "[^/]*")


def _time_expression(time: str, prefix: str) -> str:
    expression = re.escape(time)
    for part, digits in TIMES.items():
        expression = expression.replace(part, digits.format(prefix), 1)
    return expression


def _time(found: re.Match[str], prefix: str, time: str) -> dict[str, str]:
    """Return a time in the form of ISO 8601."""
    parts = {
        name: found.groupdict().get(prefix + name) for name in ("year", "month", "day", "hour", "minute", "second")
    }
    date = f"{parts['year'] or '1900'}-{parts['month'] or '01'}-{parts['day'] or '01'}"
    return {"time": f"{date}T{parts['hour'] or '00'}:{parts['minute'] or '00'}:{parts['second'] or '00'}"}
