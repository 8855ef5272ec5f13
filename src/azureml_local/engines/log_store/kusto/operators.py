"""Kusto's operators that `duckdb-kql` lacks: what each makes of a table, as SQL.

What they do is in https://learn.microsoft.com/kusto/query, on the page of each one's name; `make-series` has a module
of its own.
"""

# ruff: noqa: S608 - a table is a stage of the query, named by `duckdb-kql`, and columns' names are quoted

from __future__ import annotations

import fnmatch
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial, reduce
from typing import Any, ClassVar, Literal

from duckdb_kql import ir
from duckdb_kql.lower import (
    _children,
    _cls,
    _find_names,
    _lower_expr,
    _lower_named,
    _lower_union_branch,
    _rule_children,
)
from duckdb_kql.translate import (
    quote_ident,
    quote_string,
    render_expr,
)

from azureml_local.engines.log_store.kusto import errors
from azureml_local.engines.log_store.tables import TABLES

# The grammar of `duckdb-kql` has no `serialize` without columns: this is put into its place, and is as long.
BARE_SERIALIZE, ORDERED = "serialize", "_order"
STAND_IN = f"as {ORDERED}"
NEVER: ir.Expr = ir.Literal(False, "bool")
TABLE = "$table"  # the column in which `search` says where a row is from


@dataclass(frozen=True)
class Operator(ir.Project):
    """An operator of ours. Its scalar ``expressions`` are where `duckdb-kql` looks for names that ``let`` has bound."""

    keyword: ClassVar[str]

    def columns(self, before: list[str]) -> list[str]:
        """Return the names of the columns that it makes of those ``before``."""
        return before

    def sql(self, table: str, before: list[str]) -> str:
        """Return the query that makes its rows of a table's."""
        raise NotImplementedError


@dataclass(frozen=True)
class Serialize(Operator):
    """Says that rows stay in the order in which they come, which they do anyway."""

    keyword = "serialize"

    def sql(self, table: str, before: list[str]) -> str:
        """Return the table as it is."""
        return f"SELECT * FROM {table}"


@dataclass(frozen=True)
class Sample(Operator):
    """Some rows, any."""

    keyword = "sample"

    count: int = 0

    def sql(self, table: str, before: list[str]) -> str:
        """Return any rows."""
        return f"SELECT * FROM {table} USING SAMPLE reservoir({self.count} ROWS)"


@dataclass(frozen=True)
class Chosen(Operator):
    """Columns by name or pattern: these alone (``keep``), all others (``away``), or all, with these first."""

    keyword = "project-keep"

    patterns: tuple[str, ...] = ()
    how: Literal["keep", "away", "reorder"] = "keep"

    def columns(self, before: list[str]) -> list[str]:
        """Return the columns in their order."""
        named = list(dict.fromkeys(one for pattern in self.patterns for one in _matching(pattern, before)))
        others = [one for one in before if one not in named]
        chosen = {"keep": [one for one in before if one in named], "away": others, "reorder": [*named, *others]}
        return chosen[self.how]

    def sql(self, table: str, before: list[str]) -> str:
        """Return the columns of the table. Raises KustoError where none is left."""
        columns = self.columns(before)
        if not columns:
            raise errors.semantic("SEM0001", f"No column is left: {', '.join(self.patterns)}")
        return f"SELECT {', '.join(map(quote_ident, columns))} FROM {table}"


@dataclass(frozen=True)
class DistinctRows(Operator):
    """Rows that differ in any column."""

    keyword = "distinct"

    def sql(self, table: str, before: list[str]) -> str:
        """Return each row once."""
        return f"SELECT DISTINCT * FROM {table}"


@dataclass(frozen=True)
class Search(Operator):
    """Rows that have a word in any column; the column ``$table``, where there is none yet, has the ``table``'s name."""

    keyword = "search"

    table: str = ""

    def columns(self, before: list[str]) -> list[str]:
        """Return the columns, the table's name first."""
        return before if TABLE in before else [TABLE, *before]

    def sql(self, table: str, before: list[str]) -> str:
        """Return the rows that fulfil the predicate."""
        predicate = render_expr(_searched(self.expressions[0].expr, [ir.ColumnRef(one) for one in _texts(before)]))
        label = "" if TABLE in before else f"{quote_string(self.table)} AS {quote_ident(TABLE)}, "
        return f"SELECT {label}* FROM {table} WHERE {predicate}"


def _matching(pattern: str, columns: Sequence[str]) -> list[str]:
    found = [one for one in columns if fnmatch.fnmatchcase(one, pattern)]
    if not found and "*" not in pattern:
        raise errors.unknown_column(pattern, None)
    return found


def _texts(columns: Sequence[str]) -> Iterator[str]:
    """Yield the columns that may hold text: `search` looks at no others."""
    kinds = {name: kind for table in TABLES.values() for name, kind in table.items()}
    yield from (one for one in columns if one != TABLE and kinds.get(one, "string") == "string")


def _searched(predicate: ir.Expr, columns: Sequence[ir.Expr]) -> ir.Expr:
    """Return a predicate in which a text stands for a word in any column, and ``*`` for any column."""
    if isinstance(predicate, ir.Literal) and isinstance(predicate.value, str):
        operator, plain = _word(predicate.value)
        return _any(ir.BinaryOp(operator, one, plain) for one in columns)
    if isinstance(predicate, ir.BinaryOp) and predicate.op in ("and", "or"):
        return replace(predicate, left=_searched(predicate.left, columns), right=_searched(predicate.right, columns))
    if isinstance(predicate, ir.BinaryOp) and isinstance(predicate.left, ir.Wildcard):
        return _any(replace(predicate, left=one) for one in columns)
    if isinstance(predicate, ir.UnaryOp):
        return replace(predicate, operand=_searched(predicate.operand, columns))
    return predicate


def _any(conditions: Iterable[ir.Expr]) -> ir.Expr:
    either: Callable[[ir.Expr, ir.Expr], ir.Expr] = partial(ir.BinaryOp, "or")
    return reduce(either, conditions, NEVER)


def _word(text: str) -> tuple[str, ir.Expr]:
    """Return how a text is looked for, and without the ``*`` that says so: as a word, or as less of one."""
    plain = ir.Literal(text.strip("*"), "string")
    return {(True, True): "contains", (False, True): "hasprefix", (True, False): "hassuffix"}.get(
        (text.startswith("*"), text.endswith("*")), "has"
    ), plain


def _serialize(node: Any) -> list[ir.Operator]:
    named = tuple(_lower_named(one) for one in _rule_children(node))
    return [Serialize(()), *([ir.Extend(named)] if named else [])]


def _sample(node: Any) -> ir.Operator:
    return Sample((), _count(node))


def _sample_distinct(node: Any) -> list[ir.Operator]:
    column = _lower_named(_rule_children(node)[-1])
    return [ir.Distinct((column,)), ir.Take(_count(node))]


def _count(node: Any) -> int:
    count = _lower_expr(_rule_children(node)[0])
    if not isinstance(count, ir.Literal) or not isinstance(count.value, int):
        raise errors.lacking(f"'{node.getText()}' with a computed number")
    return count.value


def _chosen(node: Any) -> ir.Operator:
    patterns = tuple(_pattern(one) for one in _rule_children(node))
    return Chosen((), patterns, CHOICES[_cls(node)])


def _pattern(node: Any) -> str:
    if _cls(node) == "ProjectReorderExpression":
        if len(_children(node)) > 1:
            raise errors.lacking("'asc' and 'desc' in project-reorder")
        node = _rule_children(node)[0]
    names = _find_names(node)
    return names[0] if len(names) == 1 and "*" not in node.getText() else str(node.getText())


def _search(node: Any) -> ir.Operator:
    return Search((ir.NamedExpr(_lower_expr(_rule_children(node)[-1])),))


def search_in(node: Any, tables: Sequence[str]) -> ir.Query:
    """Return the query that begins with `search`: over the tables that it names, or over all."""
    named = [one for clause in _rule_children(node)[:-1] for one in _rule_children(clause)]
    first, *others = [_lower_union_branch(one) for one in named] or [ir.Query(ir.TableRef(one)) for one in tables]
    return ir.Query(first.source, [*first.operators, ir.Union(tuple(others), with_source=TABLE), _search(node)])


def _as(node: Any) -> list[ir.Operator]:
    """A name for the rows so far: nothing here can use it. One stands for `serialize` without columns."""
    return [Serialize(())] if _find_names(node) == [ORDERED] else []


CHOICES: Mapping[str, Literal["keep", "away", "reorder"]] = {
    "ProjectKeepOperator": "keep",
    "ProjectAwayOperator": "away",
    "ProjectReorderOperator": "reorder",
}
# By the names of their rules in the grammar of `duckdb-kql`.
READ: Mapping[str, Callable[[Any], ir.Operator | list[ir.Operator]]] = {
    "SerializeOperator": _serialize,
    "SampleOperator": _sample,
    "SampleDistinctOperator": _sample_distinct,
    **dict.fromkeys(CHOICES, _chosen),
    "SearchOperator": _search,
    "AsOperator": _as,
}
