"""`make-series`: aggregates for each step of an axis, as arrays.

https://learn.microsoft.com/kusto/query/make-series-operator. What has no row in a step gets a default; a series without
bounds begins with the first step that has data, and ends with the last.
"""

# ruff: noqa: S608 - columns' names are quoted, the rest is made by `duckdb-kql`

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from duckdb_kql import ir
from duckdb_kql.lower import _children, _cls, _find_all, _lower_expr, _lower_named, _rule_children
from duckdb_kql.parser import parse
from duckdb_kql.translate import _is_timespan_expr, quote_ident, render_expr, render_operator, summarize_names

from azureml_local.engines.log_store.kusto import errors
from azureml_local.engines.log_store.kusto.operators import Operator

MOST_ELEMENTS = 2**20
PARAMETER = "RelaxedQueryOperatorParameter"
CLAUSES = {"Aggregation", "OnClause", "FromToStepClause", "ByClause"}
# Columns that no query names.
INDEX, AT, FIRST, STEP, COUNT = "$index", "$at", "$first", "$step", "$count"
ABSENT = ir.Literal(None, "null")
Named = Sequence[ir.NamedExpr]


@dataclass(frozen=True)
class MakeSeries(Operator):
    """``expressions`` are the aggregates, as many defaults, the axis, its begin and end, the step, and the groups."""

    keyword = "make-series"

    aggregates: int = 0  # how many

    def columns(self, before: list[str]) -> list[str]:
        """Return the groups, the aggregates, and the axis."""
        groups, aggregates = self._names(before)
        return [*groups, *aggregates, self._axis_name]

    def sql(self, table: str, before: list[str]) -> str:
        """Return a row for each group, with arrays."""
        groups, aggregates = self._names(before)
        keys = [f"found.{quote_ident(name)}" for name in groups]
        same = [f'summed."{INDEX}" = "{AT}"', *(f"{key} IS NOT DISTINCT FROM {_of('summed', key)}" for key in keys)]
        arrays = [self._array(*one) for one in zip(aggregates, self._defaults, strict=True)]
        axis = f'to_json(list({self._moment} ORDER BY "{AT}")) AS {quote_ident(self._axis_name)}'
        return (
            f"WITH bounds AS ({self._bounds(table)}), "
            f'indexed AS (SELECT {table}.*, {self._index} AS "{INDEX}" FROM {table}, bounds '
            f'WHERE {self._index} BETWEEN 0 AND "{COUNT}" - 1), '
            f"summed AS ({self._summed(groups, aggregates, before)}), "
            f"found AS (SELECT DISTINCT {', '.join(map(quote_ident, groups)) or '1'} FROM summed), "
            f'grid AS (SELECT *, unnest(range(0, {_limited(COUNT)})) AS "{AT}" FROM bounds) '
            f"SELECT {', '.join([*keys, *arrays, axis])} FROM found CROSS JOIN grid "
            f"LEFT JOIN summed ON {' AND '.join(same)} "
            + (f"GROUP BY {', '.join(keys)}" if keys else "HAVING count(*) > 0")
        )

    @property
    def _axis_name(self) -> str:
        axis = self.expressions[2 * self.aggregates]
        assert isinstance(axis.expr, ir.ColumnRef)  # noqa: S101 - as it was read
        return axis.name or axis.expr.name

    @property
    def _defaults(self) -> Named:
        return self.expressions[self.aggregates : 2 * self.aggregates]

    @property
    def _range(self) -> list[ir.Expr]:
        """The axis, begin, end and step."""
        return [one.expr for one in self.expressions[2 * self.aggregates :][:4]]

    @property
    def _of_time(self) -> bool:
        return _is_timespan_expr(self._range[-1])

    @property
    def _index(self) -> str:
        """Which step a row is in."""
        axis = self._number(render_expr(self._range[0]))
        first, step = self._number(f'"{FIRST}"'), self._number(f'"{STEP}"')
        return f"CAST(floor(({axis} - {first}) / {step}) AS BIGINT)"

    @property
    def _moment(self) -> str:
        """The beginning of a step, as it is in the array."""
        moment = f'"{FIRST}" + "{AT}" * "{STEP}"'
        return f"strftime({moment}, '%Y-%m-%dT%H:%M:%S.%f0Z')" if self._of_time else moment

    def _names(self, before: list[str]) -> tuple[list[str], list[str]]:
        groups = self.expressions[2 * self.aggregates + 4 :]
        names, aggregates = summarize_names(ir.Summarize(self.expressions[: self.aggregates], groups), before)
        return names, [name for (name,) in aggregates]

    def _number(self, value: str) -> str:
        return f"epoch_us({value})" if self._of_time else value

    def _bounds(self, table: str) -> str:
        """Return the query of one row: where the series begins, its step, and how many there are."""
        axis, begin, end, step = (render_expr(one) for one in self._range)
        number, size = self._number, self._number(step)
        if begin == "NULL":
            lowest = f"floor({number(f'min({axis})')} / {size}) * {size}"
            begin = f"make_timestamp(CAST({lowest} AS BIGINT))" if self._of_time else lowest
        length = f"ceil(({number(end)} - {number('first')}) / {size})"
        if end == "NULL":
            length = f"floor(({number('last')} - {number('first')}) / {size}) + 1"
        return (
            f'SELECT first AS "{FIRST}", {step} AS "{STEP}", CAST({length} AS BIGINT) AS "{COUNT}" '
            f"FROM (SELECT {begin} AS first, max({axis}) AS last FROM {table})"
        )

    def _summed(self, groups: list[str], aggregates: list[str], before: list[str]) -> str:
        named = [replace(one, name=name) for one, name in zip(self.expressions, aggregates, strict=False)]
        of_groups = zip(self.expressions[2 * self.aggregates + 4 :], groups, strict=True)
        by = [*(replace(one, name=name) for one, name in of_groups), ir.NamedExpr(ir.ColumnRef(INDEX), INDEX)]
        return render_operator(ir.Summarize(tuple(named), tuple(by)), "indexed", [*before, INDEX])

    def _array(self, name: str, default: ir.NamedExpr) -> str:
        value = f"coalesce(summed.{quote_ident(name)}, {render_expr(default.expr)})"
        return f'to_json(list({value} ORDER BY "{AT}")) AS {quote_ident(name)}'


def read(node: Any) -> ir.Operator:
    """Return the operator that a node of the parser's tree is. Raises KustoError for what is lacking."""
    parts: dict[str, list[Any]] = {}
    for one in _rule_children(node):
        parts.setdefault(_cls(one).removeprefix("MakeSeriesOperator"), []).append(one)
    named = [one for one in parts.pop(PARAMETER, ()) if not one.getText().startswith("hint.")]
    is_lacking = any(one.getText().startswith("kind=") for one in named) or set(parts) - CLAUSES
    if is_lacking or "FromToStepClause" not in parts:
        raise errors.lacking("'kind' and 'in range(...)' in make-series")
    aggregates, defaults = map(list, zip(*map(_aggregate, parts["Aggregation"]), strict=True))
    if named:
        aggregates[0] = _first(named[0], parts["Aggregation"][0])
    axis = _lower_named(_rule_children(parts["OnClause"][0])[0])
    if not isinstance(axis.expr, ir.ColumnRef):
        raise errors.lacking("a computed axis in make-series. Make a column of it first, with extend")
    groups = [_lower_named(one) for clause in parts.get("ByClause", ()) for one in _rule_children(clause)]
    bounds = _bounds(parts["FromToStepClause"][0])
    return MakeSeries((*aggregates, *defaults, axis, *bounds, *groups), aggregates=len(aggregates))


def _aggregate(node: Any) -> tuple[ir.NamedExpr, ir.NamedExpr]:
    """Return an aggregate, and what stands for it where there is nothing."""
    aggregate, *defaults = _rule_children(node)
    default = _lower_expr(_rule_children(defaults[0])[0]) if defaults else ir.Literal(0, "long")
    return _lower_named(aggregate), ir.NamedExpr(default)


def _first(name: Any, aggregation: Any) -> ir.NamedExpr:
    """Return the first aggregate where the grammar has taken its beginning, ``Name = f``, for a parameter."""
    text = name.start.getInputStream().getText(name.start.start, _rule_children(aggregation)[0].stop.stop)
    (printed,) = _find_all(parse(f"print {text}").tree, "PrintOperator")
    return _lower_named(_rule_children(printed)[0])


def _bounds(node: Any) -> list[ir.NamedExpr]:
    """Return from, to and step."""
    found: dict[str, ir.Expr] = {}
    word = ""
    for one in _children(node):
        if hasattr(one, "symbol"):  # a keyword
            word = one.getText()
        else:
            found[word] = _lower_expr(one)
    return [ir.NamedExpr(found.get(name, ABSENT)) for name in ("from", "to", "step")]


def _of(table: str, key: str) -> str:
    return f"{table}.{key.partition('.')[2]}"


def _limited(count: str) -> str:
    message = f"make-series: a series has more than {MOST_ELEMENTS} elements"
    return f'CASE WHEN "{count}" > {MOST_ELEMENTS} THEN error(\'{message}\') ELSE "{count}" END'
