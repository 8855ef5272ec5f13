"""What is wrong with a query, as Azure says it: a chain of code and message, the outermost first.

The outer link is documented (https://learn.microsoft.com/azure/azure-monitor/logs/api/errors), ``SEM0100`` and its
words are reported (https://github.com/Azure/azure-quickstart-templates/issues/5174). No public source is known for the
other inner codes and words; ``NotImplemented`` is this service's own.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import duckdb
from duckdb_kql import KqlError, KqlSchemaError, KqlSyntaxError, KqlUnsupportedError, SourceSpan

from azureml_local.engines.log_store import AnswerableError


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# https://learn.microsoft.com/kusto/query: operators that Azure has, and that are not translated.
LACKING_OPERATORS = _words(
    "consume evaluate externaldata facet find fork invoke mv-apply partition reduce scan top-hitters top-nested"
)
LACKING_FUNCTIONS = _words(
    "app array_iff bag_merge bag_remove_keys bin_auto binary_all_and binary_all_or binary_all_xor buildschema "
    "column_ifexists covariance covariancep current_cluster_endpoint cursor_after datetime_local_to_utc "
    "datetime_utc_to_local dcount_hll estimate_data_size format_bytes geo_distance_2points has_any_index hash hll "
    "hll_if hll_merge ingestion_time isascii isutf8 jaccard_index make_string new_guid pack_all parse_csv "
    "parse_path parse_urlquery parse_user_agent parse_version parse_xml percentile_tdigest percentilew "
    "percentilesw percentrank_tdigest range regex_quote repeat replace_strings resource row_rank_dense "
    "row_rank_min row_window_session series_decompose series_decompose_anomalies series_fir series_fit_line "
    "series_outliers series_stats tdigest tdigest_merge todecimal translate unicode_codepoints_from_string "
    "welch_test workspace"
)
WORD = re.compile(r"[\s|]*([\w-]+|\S|$)")
DUCKDB_PREFIX = re.compile(r"^(Binder|Conversion|Invalid Input|Parser) Error: ")
# DuckDB's ways to say that there is no such column.
UNKNOWN_COLUMN = re.compile(r'(?:column|column named|Alias with name)[ "]+([^"]+)"', re.IGNORECASE)


class KustoError(AnswerableError):
    """A query that cannot be answered; its body has ``code``, ``message`` and ``innererror``."""


def semantic(code: str, message: str) -> KustoError:
    """Return the error of a query that has no meaning; ``code`` is Kusto's."""
    inner = {"code": code, "message": message}
    return KustoError(400, {"code": "SemanticError", "message": "A semantic error occurred.", "innererror": inner})


def lacking(what: str) -> KustoError:
    """Return the error of a query that asks for what Azure has and azureml-local lacks."""
    return semantic("NotImplemented", f"azureml-local lacks {what}, which Azure has.")


def unknown_table(name: str, operator: str | None) -> KustoError:
    """Return the error of a name that is no table's; ``operator`` is the first one that takes it."""
    return semantic("SEM0100", f"{_where(operator)}Failed to resolve table or column expression named '{name}'")


def unknown_column(name: str, operator: str | None) -> KustoError:
    """Return the error of a name that is no column's."""
    return semantic("SEM0100", f"{_where(operator)}Failed to resolve column or scalar expression named '{name}'")


def _where(operator: str | None) -> str:
    return f"'{operator}' operator: " if operator else ""


def timed_out(seconds: float) -> KustoError:
    """Return the error of a query that took longer than it may."""
    inner = {"code": "GatewayTimeout", "message": f"The query took longer than {seconds:g} s."}
    return KustoError(504, {"code": "GatewayTimeout", "message": "Gateway timeout", "innererror": inner})


def position(error: KqlSyntaxError, text: str) -> int:
    """Return where in a text the word begins at which it could not be read."""
    span = _span(error)
    line_begins = sum(len(line) + 1 for line in text.split("\n")[: span.line - 1])
    found = WORD.match(text, line_begins + span.column)
    return found.start(1) if found else len(text)


def of_translation(error: KqlError, text: str) -> KustoError:
    """Return Azure's error for what `duckdb-kql` has found wrong with a query."""
    if isinstance(error, KqlSyntaxError):
        return _syntax(text, _span(error))
    if isinstance(error, KqlSchemaError):
        return unknown_column(error.name, None)
    if isinstance(error, KqlUnsupportedError):
        return _unsupported(error, text)
    return semantic("SEM0001", _first_line(error))


def of_execution(error: duckdb.Error, operator_of: Callable[[str], str | None]) -> KustoError:
    """Return Azure's error for what DuckDB has found wrong.

    Args:
        error: DuckDB's.
        operator_of: returns the name of the operator that mentions a column, or None.
    """
    words = _first_line(error)
    if isinstance(error, duckdb.OutOfMemoryException):
        inner = "Query execution lacks memory resources to complete (E_LOW_MEMORY_CONDITION, 0x80DA0007)."
        return KustoError(400, {"code": "-2133196793", "message": inner})
    if "INTERVAL" in words:
        return lacking("this arithmetic on timespans. Divide by one first, e.g. avg((StopTime - StartTime) / 1s)")
    if "Malformed JSON" in words:
        return semantic("SEM0001", "A text has no members. Make it dynamic first, with parse_json().")
    if words.endswith("to BOOL"):
        return semantic("SEM0001", f"A condition is no bool ({words}). Two values are compared with '=='.")
    column = UNKNOWN_COLUMN.search(words) if isinstance(error, duckdb.BinderException) else None
    if column:
        return unknown_column(column[1], operator_of(column[1]))
    return semantic("SEM0001", words)


def _span(error: KqlSyntaxError) -> SourceSpan:
    return error.diagnostics[0].span if error.diagnostics else SourceSpan(1, 0)


def _syntax(text: str, span: SourceSpan) -> KustoError:
    """Return the error of a text that is no query; that of a missing operator where the parser stopped before one."""
    line = text.split("\n")[span.line - 1]
    found = WORD.match(line, span.column)
    word = found[1] if found else ""
    if word in LACKING_OPERATORS:
        return lacking(f"the operator '{word}'")
    position = found.start(1) if found else span.column
    inner = {
        "code": "SYN0002",
        "message": f"Query could not be parsed at '{word}' on line [{span.line},{position + 1}]",
        "line": span.line,
        "pos": position,
        "token": word,
    }
    outer = {"code": "SyntaxError", "message": "A recognition error occurred in the query.", "innererror": inner}
    return KustoError(400, outer)


def _unsupported(error: KqlUnsupportedError, text: str) -> KustoError:
    kind, _, name = error.construct.partition(":")
    if kind in ("function", "aggregate"):
        if name in LACKING_FUNCTIONS:
            return lacking(f"the function '{name}()'")
        return semantic("SEM0260", f"Unknown function: '{name}'. (azureml-local knows fewer functions than Azure.)")
    found = WORD.match(text.split("\n")[error.span.line - 1], error.span.column) if error.span else None
    return lacking(f"'{found[1]}', as it is used here" if found and found[1] else f"'{error.construct}'")


def _first_line(error: BaseException) -> str:
    """Return what is wrong without the SQL that DuckDB quotes."""
    return DUCKDB_PREFIX.sub("", str(error).partition("\n")[0])
