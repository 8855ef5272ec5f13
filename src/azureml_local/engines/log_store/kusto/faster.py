"""Parts of queries that `duckdb-kql` writes so that DuckDB is slow at them, written so that it is not.

What they answer stays the same. A million rows of job events are the measure (``tests/bench/log_queries.py``).
"""

# ruff: noqa: S608 - a table is a stage of the query, named by `duckdb-kql`, and columns' names are quoted

from __future__ import annotations

from collections.abc import Sequence

from duckdb_kql import ir
from duckdb_kql.translate import arg_max_names, arg_max_targets, quote_ident, render_expr, summarize_names

# Each value is looked at once, not each row: whether a text is an array of JSON takes a parser.
MAKE_SET = (
    "to_json(list_distinct(flatten(list_transform("
    "coalesce(list(DISTINCT {0}) FILTER (WHERE {0} IS NOT NULL), []), lambda one: "
    "CASE WHEN json_type(TRY_CAST(one AS JSON)) = 'ARRAY' THEN CAST(to_json(one) AS JSON[]) ELSE [to_json(one)] END))))"
)
# Operators that look for a word, whatever its case, with a regular expression.
OF_WORDS = frozenset(("has", "hasprefix", "hassuffix"))
# Keeps a later condition from being mixed with that on the row's number, which DuckDB finds fast only on its own.
EVERY_ROW = 2**63 - 1
DIRECTIONS = {"max": "DESC", "min": "ASC"}


def words_found(operator: str, sides: Sequence[str], expression: str) -> str:
    """Return a search for a word that is only made where its letters are: that is found out much faster."""
    if operator not in OF_WORDS:
        return expression
    text, word = sides
    return f"CASE WHEN contains(lower(CAST({text} AS VARCHAR)), lower({word})) THEN {expression} ELSE false END"


def summarized(operator: ir.Summarize, table: str, columns: list[str] | None) -> str | None:
    """Return the query of a lone `arg_max` or `arg_min` by groups: the first row of each. None for all else."""
    if len(operator.aggregates) != 1 or not operator.by:
        return None
    keys, _ = summarize_names(operator, columns)
    targets = arg_max_targets(operator.aggregates[0], keys, columns)
    if targets is None:
        return None
    extreme, ordered, picked = targets
    names = arg_max_names(operator.aggregates[0], keys, columns) or []
    groups = [render_expr(key.expr) for key in operator.by]
    values = [*groups, *(render_expr(one) for one in (ordered, *picked))]
    named = [f"{value} AS {quote_ident(name)}" for value, name in zip(values, [*keys, *names], strict=True)]
    order = f"{render_expr(ordered)} {DIRECTIONS[extreme]} NULLS LAST"
    first = f"row_number() OVER (PARTITION BY {', '.join(groups)} ORDER BY {order}) = 1"
    return f"SELECT {', '.join(named)} FROM {table} QUALIFY {first} LIMIT {EVERY_ROW}"
