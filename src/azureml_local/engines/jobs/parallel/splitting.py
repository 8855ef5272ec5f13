"""Splits the input of a parallel job into mini-batches.

Files are counted. A table is cut by its size, at the ends of lines or of row groups and never across files: "the
mini-batch from TabularDataset will never cross file boundaries"
(https://learn.microsoft.com/azure/machine-learning/how-to-debug-parallel-run-step#parameters-for-parallelrunconfig). So
nothing of it is read but what lies around the cuts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import IO, Any

from azureml_local.engines.jobs.parallel import mltable
from azureml_local.engines.jobs.parallel.mltable import Table, TableError
from azureml_local.engines.jobs.spec import ParallelTask

FILES = 1  # in a mini-batch, where nothing is said: reference-yaml-job-parallel
BYTES = 1024 * 1024  # "optional, default value … 1MB for TabularDataset"
UNITS = {"": 1, "b": 1, "kb": 1024, "mb": 1024**2, "gb": 1024**3}
PIECE = 1024 * 1024
UNCUT = ("utf-16", "utf-32")  # encodings in which the byte of a line's end may be part of another character

MiniBatches = Iterator[tuple[Mapping[str, Any], int | None]]


class SplitError(Exception):
    """The input cannot be split as the job asks for."""


def describe(task: ParallelTask, root: Path) -> Table | None:
    """Return what the MLTable file of the input says; None where the input is none.

    Raises:
        SplitError: it cannot be read.
    """
    if not task.is_table:
        return None
    try:
        return mltable.read(root)
    except TableError as error:
        raise SplitError(str(error)) from error


def split(task: ParallelTask, root: Path, table: Table | None) -> MiniBatches:
    """Yield what each mini-batch holds, and how many items where that is known.

    Files are named from ``root``: each node may have them elsewhere.

    Args:
        task: how to split.
        root: the input's folder, or its file.
        table: what its MLTable file says.

    Raises:
        SplitError: it cannot be split so.
    """
    files = table.files if table else [""] if root.is_file() else mltable.files_below(root)
    if task.partition_keys:
        return _by_keys(task.partition_keys, files, table, root)
    if table and table.format:
        return _by_size(files, table, root, _bytes(task.mini_batch_size))
    count = _count(task.mini_batch_size)
    some = (files[start : start + count] for start in range(0, len(files), count))
    return (({"files": names}, len(names)) for names in some)


def _count(size: str) -> int:
    if not size:
        return FILES
    if not size.isdecimal():
        raise SplitError(
            f"mini_batch_size is {size}, and the input is no table: it must be a count of files, such as 10."
        )
    return int(size)


def _bytes(size: str) -> int:
    if not size:
        return BYTES
    number, unit = re.fullmatch(r"(\d+)\s*(\w*)", size.lower()).groups()  # type: ignore[union-attr] # judged before
    return int(number) * UNITS[unit]


def _by_keys(keys: tuple[str, ...], files: list[str], table: Table | None, root: Path) -> MiniBatches:
    """Yield a mini-batch of the files of each combination of values of the keys."""
    columns = [name for name, _ in table.partitions.columns] if table and table.partitions else []
    missing = [key for key in keys if key not in columns]
    if table is None or missing:
        raise SplitError(
            f"partition_keys has {', '.join(missing or keys)}, and the paths of the files do not say that. An MLTable "
            f"whose {mltable.PARTITIONS} names the columns is needed; it names {', '.join(columns) or 'none'}."
        )

    def values(file: str) -> dict[str, Any]:
        return {key: value for key, value in _columns(table, file).items() if key in keys}

    def text(file: str) -> list[str]:
        return [str(value) for value in values(file).values()]

    for _, some in groupby(sorted(files, key=text), text):
        names = list(some)
        partition = {key: _plain(values(names[0])[key]) for key in keys}
        if table.format is None:
            yield {"files": names, "partition": partition}, len(names)
        else:
            parts = [part for name in names for part in _parts(table, root, name, files[0], None)]
            if parts:
                yield {"parts": parts, "partition": partition}, None


def _by_size(files: list[str], table: Table, root: Path, size: int) -> MiniBatches:
    for name in files:
        for part in _parts(table, root, name, files[0], size):
            yield {"parts": [part]}, None


def _parts(table: Table, root: Path, name: str, first: str, size: int | None) -> Iterator[dict[str, Any]]:
    """Yield the parts of a file that are about so large; the whole file as one where ``size`` is None."""
    columns = {"columns": _columns(table, name)} if table.partitions else {}
    cut = _row_groups if table.format == "read_parquet" else _lines
    try:
        for part in cut(table, root, name, first, size):
            yield {"file": name, **part, **columns}
    except OSError as error:
        raise SplitError(f"The file {name} cannot be read: {error.strerror}.") from error


def _columns(table: Table | None, file: str) -> dict[str, Any]:
    if table is None or table.partitions is None:
        return {}
    try:
        return table.partitions.columns_of(file)
    except TableError as error:
        raise SplitError(str(error)) from error


def _plain(value: Any) -> Any:
    """Return the value of a partition key as scripts see it."""
    return value["time"] if isinstance(value, dict) else value


def _lines(table: Table, root: Path, name: str, first: str, size: int | None) -> Iterator[dict[str, Any]]:
    if table.options["codec"] in UNCUT:
        yield {"start": 0, "end": None}
        return
    is_delimited = table.format == "read_delimited"
    header = table.options.get("header", "all_files_same_headers") if is_delimited else "no_header"
    has_quotes = is_delimited and bool(table.options.get("support_multi_line"))
    with (root / name).open("rb") as file:
        start = 0
        above: dict[str, Any] = {}
        if header == "from_first_file":
            below = _end_of_line(root, first, has_quotes)
            above = {"header": [first, below]}
            start = below if name == first else 0
        elif header != "no_header":
            start = _end_of_line(root, name, has_quotes)
            above = {"header": [name, start]}
        end = file.seek(0, 2)
        while start < end:
            following = end if size is None else _line_after(file, start, start + size, end, has_quotes=has_quotes)
            yield {"start": start, "end": following, **above}
            start = following


def _end_of_line(root: Path, name: str, has_quotes: bool) -> int:
    with (root / name).open("rb") as file:
        end = file.seek(0, 2)
        return _line_after(file, 0, 1, end, has_quotes=has_quotes)


def _line_after(file: IO[bytes], start: int, position: int, end: int, *, has_quotes: bool) -> int:
    """Return where the first line begins that does so at ``position`` or later; ``end`` where none does.

    Args:
        file: the file.
        start: where some line begins.
        position: after that.
        end: of the file.
        has_quotes: a line's end between quotes is none.
    """
    if position >= end:
        return end
    file.seek(start)
    is_quoted = False
    if has_quotes:
        left = position - 1 - start
        while left > 0:
            piece = file.read(min(PIECE, left))
            is_quoted ^= piece.count(b'"') % 2 == 1
            left -= len(piece)
    file.seek(position - 1)
    while line := file.readline():
        is_quoted ^= has_quotes and line.count(b'"') % 2 == 1
        if not is_quoted and line.endswith(b"\n"):
            return file.tell()
    return end


def _row_groups(table: Table, root: Path, name: str, first: str, size: int | None) -> Iterator[dict[str, Any]]:
    """Yield row groups: "a single parquet file and single row group can't be partitioned"."""
    from pyarrow import ArrowInvalid
    from pyarrow.parquet import ParquetFile

    try:
        with ParquetFile(root / name) as file:
            groups = [file.metadata.row_group(number) for number in range(file.num_row_groups)]
    except ArrowInvalid:
        yield {"row_groups": None}  # whoever reads it says what is wrong, and the other files are processed
        return
    some: list[int] = []
    large = 0
    for number, group in enumerate(groups):
        if group.num_rows:
            some.append(number)
            large += group.total_byte_size
        if some and size is not None and large >= size:
            yield {"row_groups": some}
            some, large = [], 0
    if some:
        yield {"row_groups": some}
