"""Reads a part of a table into a DataFrame: what an MLTable file says, as far as it is served.

https://learn.microsoft.com/azure/machine-learning/reference-yaml-mltable
Which files there are, and where they are cut, the supervisor has worked out.
"""

import io
import json

import pandas as pd

PATH_COLUMN = "Path"
TYPES = {"int": "Int64", "float": "float64", "string": "string"}
TRUE, FALSE = ("true", "yes", "1"), ("false", "no", "0")  # mltable.DataType.to_bool()


def read(table, root, parts):
    """Return the rows of some parts, after the table's transformations.

    Args:
        table: ``format``, ``options`` and ``steps``, as in the MLTable file.
        root: the folder of that.
        parts: for each its ``file``, and what of it: ``start`` and ``end`` in bytes, or ``row_groups``.
    """
    frames = [_transformed(table, _frame(table, root, part), part) for part in parts]
    return frames[0] if len(frames) == 1 else pd.concat(frames, ignore_index=True)


def _frame(table, root, part):
    frame = READERS[table["format"]](root, part, table["options"])
    if table["options"].get("include_path_column"):
        frame.insert(0, PATH_COLUMN, "/" + part["file"])
    return frame


def _bytes(root, name, start, end):
    with (root / name).open("rb") as file:
        file.seek(start)
        return file.read() if end is None else file.read(end - start)


def _delimited(root, part, options):
    content = _bytes(root, part["file"], part["start"], part["end"])
    if part.get("header"):
        name, end = part["header"]
        header = _bytes(root, name, 0, end)
        content = header + (b"" if header.endswith(b"\n") else b"\n") + content
    is_text = not options.get("infer_column_types", True)
    has_header = options.get("header") != "no_header"
    frame = pd.read_csv(
        io.BytesIO(content),
        sep=options.get("delimiter", ","),
        header=0 if has_header else None,
        encoding=options["codec"],
        dtype=str if is_text else None,
        keep_default_na=False,  # nothing but an empty field is none
        na_values=[""],
    )
    if not has_header:
        frame.columns = [f"Column{number}" for number in range(1, len(frame.columns) + 1)]
    if options.get("empty_as_string"):
        typed = frame.select_dtypes(include=["number", "bool"]).columns
        for name in frame.columns:
            if name not in typed or frame[name].isna().all():
                frame[name] = frame[name].astype(object).fillna("")
    return frame


def _json_lines(root, part, options):
    lines = _bytes(root, part["file"], part["start"], part["end"]).decode(options["codec"]).splitlines()
    rows = []
    for line in filter(str.strip, lines):
        try:
            rows.append(json.loads(line))
        except ValueError:
            if options.get("invalid_lines", "error") != "drop":
                raise ValueError(f"{part['file']}: this line is no JSON: {line[:200]}") from None
    return pd.DataFrame(rows)


def _parquet(root, part, options):
    from pyarrow.parquet import ParquetFile

    with (root / part["file"]).open("rb") as file:
        return ParquetFile(file).read_row_groups(part["row_groups"]).to_pandas()


READERS = {"read_delimited": _delimited, "read_json_lines": _json_lines, "read_parquet": _parquet}


def _transformed(table, frame, part):
    for name, given in table["steps"]:
        frame = STEPS[name](frame, given, part)
    return frame


def _keep_columns(frame, given, part):
    return frame[_names(given)]


def _drop_columns(frame, given, part):
    return frame.drop(columns=_names(given), errors="ignore")


def _extract_columns(frame, given, part):
    """Add the columns that the file's path holds, after that of the path."""
    position = 1 if PATH_COLUMN in frame.columns else 0
    for number, (name, value) in enumerate(part["columns"].items()):
        is_time = isinstance(value, dict)
        column = pd.Timestamp(value["time"]) if is_time else value
        frame = frame.drop(columns=name, errors="ignore")
        frame.insert(position + number, name, column)
    return frame


def _convert(frame, given, part):
    frame = frame.copy()
    for conversion in given:
        kind, options = conversion["column_type"], {}
        if isinstance(kind, dict):
            ((kind, options),) = kind.items()
        for name in _names(conversion["columns"]):
            frame[name] = CONVERSIONS.get(kind, _to_type(kind))(frame[name], options or {})
    return frame


def _to_type(kind):
    return lambda column, options: column.astype(TYPES[kind])


def _to_int(column, options):
    numbers = pd.to_numeric(column)
    return numbers.astype("float64" if numbers.isna().any() else "int64")


def _to_datetime(column, options):
    formats = options.get("formats") or [None]
    formats = [formats] if isinstance(formats, str) else formats
    for number, one in enumerate(formats):
        try:
            return pd.to_datetime(column, format=one)
        except ValueError:
            if number == len(formats) - 1:
                raise
    return column


def _to_bool(column, options):
    words = {str(word).lower(): True for word in options.get("true_values") or TRUE}
    words.update({str(word).lower(): False for word in options.get("false_values") or FALSE})
    found = column.map(lambda value: words.get(str(value).lower()))
    if options.get("mismatch_as", "error") == "error" and (found.isna() & column.notna()).any():
        raise ValueError(f"The column {column.name} holds what is neither true nor false.")
    return found if found.isna().any() else found.astype(bool)


def _names(given):
    return [given] if isinstance(given, str) else list(given)


CONVERSIONS = {"int": _to_int, "datetime": _to_datetime, "boolean": _to_bool}
STEPS = {
    "keep_columns": _keep_columns,
    "drop_columns": _drop_columns,
    "extract_columns_from_partition_format": _extract_columns,
    "convert_column_types": _convert,
}
