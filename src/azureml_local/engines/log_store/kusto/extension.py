"""Makes `duckdb-kql` read and translate what it lacks (:mod:`.functions`, :mod:`.operators`), some of it faster.

It has no place to put an operator into, so the functions through which it reads and translates one are replaced by such
that ask here first. Its exact version is required for that reason.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from typing import Any

from duckdb_kql import ir, lower, schema, translate

from azureml_local.engines.log_store.kusto import errors, faster, functions, operators, series
from azureml_local.engines.log_store.kusto.operators import READ, DistinctRows, Operator, Search, Serialize
from azureml_local.engines.log_store.tables import TABLES

CONDITION = "$condition"  # a column that no query can name
CONVERSIONS = {"date": "todatetime", "datetime": "todatetime", "time": "totimespan", "timespan": "totimespan"}
# Which operators put rows into an order, and which keep it: https://learn.microsoft.com/kusto/query/serialize-operator
ORDERING = (ir.Sort, ir.Top, Serialize)
KEEPING = (ir.Where, ir.Project, ir.Extend, ir.ProjectAway, ir.ProjectRename, ir.Parse, ir.MvExpand, ir.Take)

_read_operator = lower._lower_operator
_read_call = lower._lower_function_call
_read_head = lower._lower_head
_sql_of = translate.render_operator
_word_of = translate._render_term_operator
_columns_of = schema._operator_columns_unchecked


def install() -> None:
    """Replace the functions of `duckdb-kql`; once a process."""
    functions.register()
    for module, name, function in (
        (lower, "_lower_operator", _operator),
        (lower, "_lower_function_call", _call),
        (lower, "_lower_head", _head),
        (translate, "render_operator", _sql),
        (translate, "_render_term_operator", _word),
        (schema, "_operator_columns_unchecked", _columns),
    ):
        setattr(module, name, function)


def parts(part: Any) -> Iterator[Any]:
    """Yield a part of a query, and all that it is made of."""
    if isinstance(part, list | tuple):
        for one in part:
            yield from parts(one)
    elif is_dataclass(part):
        yield part
        for field in fields(part):
            yield from parts(getattr(part, field.name))


def require_order(query: ir.Query) -> None:
    """Raise where a function asks for the row before or after, and rows have no order."""
    ordered = False
    for operator in query.operators:
        name = _of_rows(operator)
        if name and not ordered:
            raise errors.semantic("SEM0001", f"Function '{name}' cannot be invoked. The row set must be serialized.")
        ordered = isinstance(operator, ORDERING) or (
            ordered and isinstance(operator, KEEPING) and not isinstance(operator, Operator)
        )


def _operator(node: Any) -> ir.Operator | list[ir.Operator] | None:
    rule = node
    while lower._cls(rule) in ("PipedOperator", "AfterPipeOperator"):
        rule = lower._rule_children(rule)[0]
    rule = lower._collapse(rule)
    kind = lower._cls(rule)
    if kind == "DistinctOperator" and lower._find_all(rule, "DistinctOperatorStarTarget"):
        return DistinctRows(())
    if kind == "MakeSeriesOperator":
        return series.read(rule)
    if kind in READ:
        return READ[kind](rule)
    read = _read_operator(node)
    if isinstance(read, ir.Where) and _of_rows(read):  # SQL has no such condition
        column = ir.NamedExpr(read.predicate, CONDITION)
        return [ir.Extend((column,)), ir.Where(ir.ColumnRef(CONDITION)), ir.ProjectAway((CONDITION,))]
    return read


def _call(node: Any) -> ir.Expr:
    rules = lower._rule_children(node)
    if rules and rules[0].getText() == "extract" and len(rules) == 5:
        types = lower._find_all(rules[4], "TypeLiteralExpression")
        if types:
            kind = types[0].getText().removeprefix("typeof(").removesuffix(")")
            arguments = tuple(lower._lower_expr(one) for one in rules[1:4])
            return ir.FunctionCall(CONVERSIONS.get(kind, f"to{kind}"), (ir.FunctionCall("extract", arguments),))
    read = _read_call(node)
    return functions.completed(read) if isinstance(read, ir.FunctionCall) else read


def _head(head: Any, rest: list[Any]) -> ir.Query:
    node = lower._collapse(head)
    if lower._cls(node) == "SearchOperator":
        query = operators.search_in(node, list(TABLES))
        return ir.Query(query.source, [*query.operators, *lower._lower_operators(rest)])
    query = _read_head(head, rest)
    if isinstance(query.source, ir.TableRef):
        name = query.source.name
        query.operators = [replace(one, table=name) if isinstance(one, Search) else one for one in query.operators]
    return query


def _sql(operator: ir.Operator, table: str, columns: list[str] | None = None) -> str:
    if isinstance(operator, Operator):
        return operator.sql(table, _known(operator, columns))
    first_rows = faster.summarized(operator, table, columns) if isinstance(operator, ir.Summarize) else None
    return first_rows or _sql_of(operator, table, columns)


def _word(operator: ir.BinaryOp, sides: Sequence[str]) -> str | None:
    expression = _word_of(operator, sides)
    return expression and faster.words_found(operator.op, sides, expression)


def _columns(operator: ir.Operator, columns: list[str], tables: Any) -> list[str]:
    return operator.columns(columns) if isinstance(operator, Operator) else _columns_of(operator, columns, tables)


def _known(operator: Operator, columns: list[str] | None) -> list[str]:
    if columns is None:
        raise errors.lacking(f"'{operator.keyword}' where the columns are not known before the query runs")
    return columns


def _of_rows(part: Any) -> str | None:
    """Return the name of a function of other rows that a part of a query calls; queries within it are apart."""
    return next(
        (one.name for one in parts(part) if isinstance(one, ir.FunctionCall) and one.name in functions.OF_ROWS), None
    )
