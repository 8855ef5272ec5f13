"""Kusto's functions that `duckdb-kql` lacks, as rows of its registries.

What each does is in https://learn.microsoft.com/kusto/query, on the page of its name. What begins with ``kusto_`` is a
macro: :mod:`azureml_local.engines.log_store.macros`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from duckdb_kql import ir
from duckdb_kql.translate import _SPECIAL_FORMS, _is_timespan_expr, render_expr
from duckdb_kql.translate.functions import AGGREGATE_FUNCTIONS, SCALAR_FUNCTIONS, AggregateSpec, FunctionSpec

from azureml_local.engines.log_store.kusto.faster import MAKE_SET

Form = Callable[[ir.FunctionCall], str | None]

WHERE = "CASE WHEN {1} THEN {0} END"  # nothing where the condition does not hold, and aggregates leave that out
LISTS = ("CAST({0} AS JSON[])", "CAST({1} AS JSON[])")
LIST = "coalesce(list({0}) FILTER (WHERE {0} IS NOT NULL), [])"
# One bag after the other is laid over those before it.
BAG = (
    "list_reduce(coalesce(list_distinct(list(CAST({0} AS JSON)) FILTER (WHERE {0} IS NOT NULL)), []), "
    "lambda one, other: json_merge_patch(one, other), CAST('{{}}' AS JSON))"
)
AGGREGATES = (
    AggregateSpec("sum", "kusto_sum({0})", (1,)),
    AggregateSpec("sumif", f"kusto_sum({WHERE})", (2,)),
    AggregateSpec("avg", "kusto_avg({0})", (1,)),
    AggregateSpec("avgif", f"kusto_avg({WHERE})", (2,)),
    AggregateSpec("stdev", "kusto_stdev({0})", (1,)),
    AggregateSpec("stdevif", f"kusto_stdev({WHERE})", (2,)),
    AggregateSpec("stdevp", "coalesce(stddev_pop({0}), 0.0)", (1,)),
    AggregateSpec("variancep", "coalesce(var_pop({0}), 0.0)", (1,)),
    AggregateSpec("minif", f"min({WHERE})", (2,)),
    AggregateSpec("maxif", f"max({WHERE})", (2,)),
    AggregateSpec("count_distinct", "count(DISTINCT {0})", (1,)),
    AggregateSpec("count_distinctif", f"count(DISTINCT {WHERE})", (2,)),
    AggregateSpec("take_anyif", f"any_value({WHERE})", (2,), name_is_argument=True),
    AggregateSpec("make_list_if", LIST.replace("{0}", f"({WHERE})"), (2, 3), name_prefix="list"),
    AggregateSpec("make_list_with_nulls", "coalesce(list({0}), [])", (1,), name_prefix="list"),
    AggregateSpec("make_set", MAKE_SET, (1, 2), name_prefix="set"),
    AggregateSpec("make_set_if", MAKE_SET.replace("{0}", f"({WHERE})"), (2, 3), name_prefix="set"),
    AggregateSpec("make_bag", BAG, (1, 2), name_prefix="bag"),
    AggregateSpec("make_bag_if", BAG.replace("{0}", f"({WHERE})"), (2, 3), name_prefix="bag"),
)
SCALARS = (
    FunctionSpec("format_timespan", "template", "kusto_format_timespan({0}, {1})", (2,)),
    FunctionSpec("unixtime_seconds_todatetime", "template", "make_timestamp(CAST(({0}) * 1000000 AS BIGINT))", (1,)),
    FunctionSpec("unixtime_milliseconds_todatetime", "template", "make_timestamp(CAST(({0}) * 1000 AS BIGINT))", (1,)),
    FunctionSpec("extract_json", "template", "coalesce(json_extract_string({1}, {0}), '')", (2,)),
    FunctionSpec("bag_keys", "template", "to_json(json_keys({0}))", (1,)),
    FunctionSpec("bag_has_key", "template", "list_contains(json_keys({0}), {1})", (2,)),
    FunctionSpec("set_union", "template", "to_json(list_distinct(list_concat({}, {})))".format(*LISTS), (2,)),
    FunctionSpec("set_intersect", "template", "to_json(list_distinct(list_intersect({}, {})))".format(*LISTS), (2,)),
    FunctionSpec(
        "set_difference",
        "template",
        "to_json(list_distinct(list_filter({}, lambda one: NOT list_contains({}, one))))".format(*LISTS),
        (2,),
    ),
    FunctionSpec("strcmp", "template", "CASE WHEN {0} < {1} THEN -1 WHEN {0} > {1} THEN 1 ELSE 0 END", (2,)),
    FunctionSpec("tohex", "template", "lower(to_hex(CAST({0} AS BIGINT)))", (1,)),
    FunctionSpec("url_encode", "native", "url_encode({0})", (1,)),
    FunctionSpec("url_decode", "native", "url_decode({0})", (1,)),
    FunctionSpec("rand", "native", "random()", (0,)),
    # Of other rows, in the order in which rows come: DuckDB keeps it in windows without one of their own.
    FunctionSpec("prev", "template", "lag({0}, {1}, {2}) OVER ()", (3,)),
    FunctionSpec("next", "template", "lead({0}, {1}, {2}) OVER ()", (3,)),
    FunctionSpec("row_number", "template", "(row_number() OVER () - 1 + {0})", (1,)),
    FunctionSpec("row_cumsum", "template", "sum({0}) OVER (ROWS UNBOUNDED PRECEDING)", (1,)),
)
OF_ROWS = frozenset(("prev", "next", "row_number", "row_cumsum"))
# What a caller may leave out, by how many arguments a function is called with least.
ONE, NONE = ir.Literal(1, "long"), ir.Literal(None, "null")
DEFAULTS: Mapping[str, tuple[ir.Expr, ...]] = {
    "prev": (NONE, ONE, NONE),
    "next": (NONE, ONE, NONE),
    "row_number": (ONE,),
}
SAME = {"parsejson": "parse_json", "toobject": "todynamic", "pack_dictionary": "bag_pack", "anyif": "take_anyif"}


def register() -> None:
    """Add the functions to the registries of `duckdb-kql`."""
    AGGREGATE_FUNCTIONS.update({one.name: one for one in AGGREGATES})
    SCALAR_FUNCTIONS.update({one.name: one for one in SCALARS})
    for name in ("bin", "floor"):
        _SPECIAL_FORMS[name] = _binned(_SPECIAL_FORMS[name])


def _binned(of_numbers: Form) -> Form:
    """Return how `bin` is written: over steps of time by a macro, for the value may be a moment or a span."""

    def form(call: ir.FunctionCall) -> str | None:
        if len(call.args) == 2 and _is_timespan_expr(call.args[1]):
            return f"kusto_bin({render_expr(call.args[0])}, {render_expr(call.args[1])})"
        return of_numbers(call)

    return form


def completed(call: ir.FunctionCall) -> ir.Expr:
    """Return a call with the name that the registries have, and with the arguments that were left out."""
    name = SAME.get(call.name, call.name)
    if name == "bin_at" and len(call.args) == 3:
        value, size, fixed = call.args
        return ir.BinaryOp("+", ir.FunctionCall("bin", (ir.BinaryOp("-", value, fixed), size)), fixed)
    defaults = DEFAULTS.get(name, ())
    return ir.FunctionCall(name, (*call.args, *defaults[len(call.args) :]))
