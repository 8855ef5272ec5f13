"""Components by which data comes in.

https://learn.microsoft.com/azure/machine-learning/component-reference/enter-data-manually and import-data
"""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd

from .column_types import known
from .columns import with_label
from .dataset import LABEL, SCHEMA, Dataset
from .errors import ModuleError
from .values import chosen

AUTOMATIC = "Automatic"


def enter_data_manually(data: str, data_format: str = "CSV", has_header: bool = True) -> Dataset:
    """Make a small dataset of typed text.

    Raises:
        ModuleError: there is none, or it is not in the format.
    """
    if not data.strip():
        raise ModuleError(3, "There is no data.")
    read = chosen("data_format", data_format, {"ARFF": _arff, "CSV": _csv, "SvmLight": _svm_light, "TSV": _tsv})
    return read(io.StringIO(data), has_header, f"the typed data ({data_format})")


def import_data(data: Path, file_format: str = AUTOMATIC, has_header: bool = True, label_column: str = "") -> Dataset:
    """Read a file, or the files of a folder, one below the other in the order of their names; or a kept dataset.

    Args:
        data: where they are.
        file_format: ``CSV``, ``TSV``, ``Parquet``, ``JsonLines``, or ``Automatic``: what the names end with.
        has_header: whether the first line of each file names the columns.
        label_column: the column that a model learns to predict. Data that is to be scored need not have it.

    Raises:
        ModuleError: there are none, one cannot be read, or they have different columns.
    """
    dataset = Dataset.load(data) if (data / SCHEMA).is_file() else _of_files(data, file_format, has_header)
    return with_label(dataset, label_column)


def _of_files(data: Path, file_format: str, has_header: bool) -> Dataset:
    files = [data] if data.is_file() else sorted(path for path in data.rglob("*") if _is_data(path))
    if not files:
        raise ModuleError(3, "There is no file in the folder.", port="data")
    parts = [_read(path, file_format, has_header) for path in files]
    _same_columns(files, parts)
    return parts[0] if len(parts) == 1 else Dataset(pd.concat([part.frame for part in parts], ignore_index=True))


def _is_data(path: Path) -> bool:
    """Return whether a file is data, and not what a program has left beside it, e.g. ``_SUCCESS``."""
    return path.is_file() and not path.name.startswith((".", "_"))


def _read(path: Path, file_format: str, has_header: bool) -> Dataset:
    if file_format == AUTOMATIC:
        file_format = _ENDINGS.get(path.suffix.lower(), "")
        if not file_format:
            raise ModuleError(
                49, f"{path.name!r} ends with none of {', '.join(_ENDINGS)}; say its file_format.", port="data"
            )
    read = chosen("file_format", file_format, _FORMATS)
    return read(path, has_header, path.name)


def _same_columns(files: list[Path], parts: list[Dataset]) -> None:
    first = list(parts[0].frame.columns)
    for file, part in zip(files, parts, strict=True):
        if list(part.frame.columns) != first:
            raise ModuleError(
                61,
                f"{file.name!r} has the columns {', '.join(part.frame.columns)}; {files[0].name!r} has "
                f"{', '.join(first)}. All files must have the same.",
                port="data",
            )


def _text(separator: str) -> Callable[[Any, bool, str], Dataset]:
    def read(source: Any, has_header: bool, name: str) -> Dataset:
        try:
            if has_header:
                _refuse_repeated_names(source, separator)
            with warnings.catch_warnings(action="error", category=pd.errors.ParserWarning):
                frame = pd.read_csv(
                    source, sep=separator, header=0 if has_header else None, index_col=False, low_memory=False
                )
        except pd.errors.EmptyDataError:
            raise ModuleError(3, f"There is nothing in {name}.") from None
        except pd.errors.ParserWarning:  # pandas would leave out what is too much
            raise ModuleError(49, f"{name} cannot be read: the rows have more values than there are columns.") from None
        except (ValueError, UnicodeDecodeError) as error:  # pandas' ParserError is a ValueError
            raise ModuleError(49, f"{name} cannot be read: {str(error).strip()}") from None
        if not has_header:
            frame.columns = pd.Index([f"Col{place}" for place in range(1, len(frame.columns) + 1)])
        return Dataset(known(frame))

    return read


def _refuse_repeated_names(source: Any, separator: str) -> None:
    """Refuse a header that names two columns alike: pandas would call the second one e.g. ``age.1``, without a word."""
    first = pd.read_csv(source, sep=separator, header=None, nrows=1, dtype=str, index_col=False).iloc[0].dropna()
    if first.duplicated().any():
        twice = str(first[first.duplicated()].iloc[0])
        raise ModuleError(28, f"There are two columns {twice!r}; give each a name of its own.", column=twice)
    if isinstance(source, io.StringIO):
        source.seek(0)


_csv, _tsv = _text(","), _text("\t")


def _parquet(source: Any, has_header: bool, name: str) -> Dataset:
    try:
        return Dataset(known(pd.read_parquet(source)))
    except (ValueError, OSError) as error:
        raise ModuleError(49, f"{name} cannot be read: {str(error).strip()}") from None


def _json_lines(source: Path, has_header: bool, name: str) -> Dataset:
    rows = []
    for number, line in enumerate(source.read_bytes().splitlines(), 1):
        try:
            rows += [dict(json.loads(line))] if line.strip() else []
        except (ValueError, TypeError) as error:
            raise ModuleError(49, f"{name} cannot be read: line {number} is no JSON object: {error}") from None
    return Dataset(known(pd.DataFrame(rows)))


def _arff(source: io.StringIO, has_header: bool, name: str) -> Dataset:
    from scipy.io import arff

    try:
        rows, meta = arff.loadarff(source)
    except (arff.ArffError, NotImplementedError, ValueError, IndexError, StopIteration) as error:
        raise ModuleError(49, f"{name} cannot be read: {str(error).strip()}") from None
    if not meta.names():
        raise ModuleError(49, f"{name} cannot be read: it has no @attribute.")
    frame = pd.DataFrame(rows)
    for column in meta.names():
        kind, categories = meta[column]
        if kind == "nominal":
            frame[column] = pd.Categorical(frame[column].str.decode("utf-8").replace("?", None), categories)
    return Dataset(frame)


def _svm_light(source: io.StringIO, has_header: bool, name: str) -> Dataset:
    from sklearn.datasets import load_svmlight_file

    try:
        features, labels = load_svmlight_file(io.BytesIO(source.getvalue().encode()), zero_based=False)
    except ValueError as error:
        raise ModuleError(49, f"{name} cannot be read: {str(error).strip()}") from None
    names = [f"Col{place}" for place in range(1, features.shape[1] + 1)]
    return Dataset(pd.DataFrame(features.toarray(), columns=names).assign(Labels=labels), {"Labels": LABEL})


_FORMATS: dict[str, Callable[[Any, bool, str], Dataset]] = {
    "CSV": _csv,
    "TSV": _tsv,
    "Parquet": _parquet,
    "JsonLines": _json_lines,
}
_ENDINGS = {".csv": "CSV", ".tsv": "TSV", ".parquet": "Parquet", ".jsonl": "JsonLines", ".ndjson": "JsonLines"}
