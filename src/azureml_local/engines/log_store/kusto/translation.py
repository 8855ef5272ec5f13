"""From Kusto's language to SQL over the tables that a query may name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any

from duckdb_kql import KqlError, KqlSyntaxError, ir
from duckdb_kql.lower import lower, qualify
from duckdb_kql.translate import clock
from duckdb_kql.translate import to_sql as emit

from azureml_local.engines.log_store.kusto import errors, extension, operators
from azureml_local.engines.log_store.kusto.extension import parts
from azureml_local.engines.log_store.kusto.operators import BARE_SERIALIZE, STAND_IN
from azureml_local.engines.log_store.tables import TABLES

CATALOG = "temp"  # where the views lie that a query sees
SCHEMA = {name: list(columns) for name, columns in TABLES.items()}
QUALIFIED_SCHEMA = {**SCHEMA, **{f"{CATALOG}.{name}": columns for name, columns in SCHEMA.items()}}
OPERATORS: Mapping[type[ir.Operator], str] = {
    **{one: one.keyword for one in operators.Operator.__subclasses__()},
    ir.Where: "where",
    ir.Project: "project",
    ir.Extend: "extend",
    ir.Take: "take",
    ir.Sort: "sort",
    ir.Top: "top",
    ir.GetSchema: "getschema",
    ir.Count: "count",
    ir.Distinct: "distinct",
    ir.Parse: "parse",
    ir.MvExpand: "mv-expand",
    ir.Join: "join",
    ir.Lookup: "lookup",
    ir.Union: "union",
    ir.ProjectAway: "project-away",
    ir.ProjectRename: "project-rename",
    ir.Summarize: "summarize",
}
extension.install()
RENDER = re.compile(r"\|\s*render\s+(\w+)(?:\s+with\s*\(([^)]*)\))?\s*;?\s*$")
RENDER_PROPERTY = re.compile(r"(\w+)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([\w.]+))")


@dataclass(frozen=True)
class Translated:
    """A query as SQL: with the query as it was understood, and how it is to be drawn (None where it is not said)."""

    sql: str
    query: ir.Query
    render: dict[str, Any] | None

    @property
    def tables(self) -> set[str]:
        """The tables that the query may read."""
        sources = [part.source for part in parts(self.query) if isinstance(part, ir.Query)]
        if any(isinstance(one, ir.WildcardTableRef) for one in sources):
            return set(TABLES)
        return {one.name for one in sources if isinstance(one, ir.TableRef)} & set(TABLES)

    def operator_of(self, column: str) -> str | None:
        """Return the name of the first operator that mentions a column."""
        for part in parts(self.query):
            if isinstance(part, ir.Query):
                for operator in part.operators:
                    if any(isinstance(one, ir.ColumnRef) and one.name == column for one in parts(operator)):
                        return OPERATORS.get(type(operator))
        return None


def translate(text: str) -> Translated:
    """Return a query as SQL. Raises KustoError where it is none, or asks for what there is not."""
    try:
        with clock(None):
            query = _with_single_percentiles(_read(text))
            _require_known_names(query)
            sql = emit(qualify(query, CATALOG, {}), QUALIFIED_SCHEMA)
    except KqlError as error:
        raise errors.of_translation(error, text) from error
    except RecursionError as error:
        raise errors.semantic("SEM0001", "The query is nested too deeply.") from error
    except errors.KustoError:
        raise
    except Exception as error:  # duckdb-kql is young: whatever it stumbles over, the next query finds it well
        raise errors.semantic("SEM0001", f"The query cannot be understood: {error}") from error
    if query.parameters or sql.parameters:
        raise errors.lacking("query parameters")
    return Translated(str(sql), query, _render(text))


def _read(text: str) -> ir.Query:
    try:
        return lower(text, {}, {}, None, {})
    except KqlSyntaxError as error:
        begin = errors.position(error, text)
        if not text.startswith(BARE_SERIALIZE, begin):
            raise
        return _read(text[:begin] + STAND_IN + text[begin + len(BARE_SERIALIZE) :])


def _require_known_names(query: ir.Query) -> None:
    """Raise where a table is not the log store's, or a name has another case than what it is meant to name."""
    all_parts = list(parts(query))
    tabular_lets = {name for one in all_parts if isinstance(one, ir.Query) for name, _ in one.lets}
    for one in all_parts:
        if isinstance(one, ir.Query):
            extension.require_order(one)
        if isinstance(one, ir.Query) and isinstance(one.source, ir.TableRef):
            _require_table(one, tabular_lets)
        if isinstance(one, ir.CommandSource) or (isinstance(one, ir.WildcardTableRef) and one.database):
            raise errors.lacking("queries of other databases")
    known = {name for one in all_parts for name in _defined(one)} | {
        name for table in SCHEMA.values() for name in table
    }
    lowered = {name.lower() for name in known}
    for one in all_parts:
        if isinstance(one, ir.ColumnRef) and one.name not in known and one.name.lower() in lowered:
            raise errors.unknown_column(one.name, Translated("", query, None).operator_of(one.name))


def _require_table(query: ir.Query, lets: set[str]) -> None:
    table = query.source
    assert isinstance(table, ir.TableRef)  # noqa: S101 - the caller has looked
    if table.database or table.cluster:
        raise errors.lacking("queries of other databases and clusters")
    if table.name not in TABLES and table.name not in lets:
        operator = OPERATORS.get(type(query.operators[0])) if query.operators else None
        raise errors.unknown_table(table.name, operator)


def _defined(part: Any) -> Iterator[str]:
    """Yield the names of the columns that a part of a query makes."""
    if isinstance(part, ir.NamedExpr | ir.ParseSegment | ir.RangeSource | ir.Count) and part.name:
        yield part.name
    elif isinstance(part, ir.DataTable):
        yield from (name for name, _ in part.columns)
    elif isinstance(part, ir.ProjectRename):
        yield from (name for pair in part.renames for name in pair)


def _with_single_percentiles(query: ir.Query) -> ir.Query:
    """Return a query in which ``percentiles(x, 50, 95)`` is ``percentile(x, 50), percentile(x, 95)``."""
    return _rebuilt(query)  # type: ignore[no-any-return]


def _rebuilt(part: Any) -> Any:
    if isinstance(part, list | tuple):
        return type(part)(_rebuilt(one) for one in part)
    if not is_dataclass(part):
        return part
    changes = {one.name: _rebuilt(getattr(part, one.name)) for one in fields(part) if one.init}
    rebuilt: Any = replace(part, **changes)  # type: ignore[type-var]
    if isinstance(rebuilt, ir.Summarize):
        aggregates = tuple(single for one in rebuilt.aggregates for single in _single(one))
        rebuilt = replace(rebuilt, aggregates=aggregates)
    return rebuilt


def _single(aggregate: ir.NamedExpr) -> Iterator[ir.NamedExpr]:
    call = aggregate.expr
    if not isinstance(call, ir.FunctionCall) or call.name not in ("percentiles", "percentiles_array"):
        yield aggregate
        return
    column, *wanted = call.args
    singles = tuple(ir.FunctionCall("percentile", (column, one)) for one in wanted)
    if call.name == "percentiles_array":
        name = column.name if isinstance(column, ir.ColumnRef) else ""
        yield ir.NamedExpr(ir.FunctionCall("pack_array", singles), aggregate.name or f"percentiles_{name}")
    elif aggregate.name and len(singles) > 1:
        raise errors.lacking("names for the columns of percentiles(). Call percentile() once for each")
    else:
        yield from (ir.NamedExpr(one, aggregate.name) for one in singles)


def _render(text: str) -> dict[str, Any] | None:
    """Return what ``render`` at a query's end asks for, with all members that Azure's answer has."""
    found = RENDER.search(text)
    if found is None:
        return None
    absent = dict.fromkeys(
        ("title", "kind", "legend", "series", "xAxis", "xColumn", "xTitle", "yAxis", "yColumns", "ySplit", "yTitle")
    )
    visual: dict[str, Any] = {"visualization": found[1], "accumulate": False, "isQuerySorted": False, **absent}
    visual |= {"yMin": "NaN", "yMax": "NaN", "anomalyColumns": None}
    members = {name.lower(): name for name in visual}
    for name, *values in RENDER_PROPERTY.findall(found[2] or ""):
        if name.lower() in members:
            visual[members[name.lower()]] = "".join(values)
    return visual
