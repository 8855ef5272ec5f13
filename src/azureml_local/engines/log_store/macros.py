"""DuckDB's macros that queries in Kusto's language use; they are part of the log store's file.

DuckDB sums and averages spans of time otherwise than numbers, and the type of a column is not known when a query is
translated: so these macros have two forms, of which DuckDB takes the one that fits.
"""

from __future__ import annotations

from collections.abc import Sequence

MACROS: Sequence[str] = (
    "kusto_sum(x INTERVAL) AS to_microseconds(CAST(coalesce(sum(epoch_us(x)), 0) AS BIGINT)), "
    "(x) AS coalesce(sum(x), 0)",
    "kusto_avg(x INTERVAL) AS avg(x), (x) AS coalesce(avg(x), CAST('NaN' AS DOUBLE))",
    "kusto_stdev(x INTERVAL) AS to_microseconds(CAST(coalesce(stddev_samp(epoch_us(x)), 0) AS BIGINT)), "
    "(x) AS coalesce(stddev_samp(x), 0.0)",
    "kusto_bin(x INTERVAL, step) AS "
    "to_microseconds(CAST(floor(epoch_us(x) / epoch_us(step)) * epoch_us(step) AS BIGINT)), "
    "(x, step) AS make_timestamp(CAST(floor(epoch_us(x) / epoch_us(step)) * epoch_us(step) AS BIGINT))",
    "kusto_digits(number, piece) AS "
    "lpad(CAST(number AS VARCHAR), CAST(greatest(length(CAST(number AS VARCHAR)), length(piece)) AS INTEGER), '0')",
    # Each run of one letter becomes a number of as many digits, or more; what is no letter stays.
    "kusto_format_timespan(span, format) AS list_aggregate(list_transform("
    "regexp_extract_all(format, 'd+|h+|H+|m+|s+|f+|.'), lambda piece: CASE lower(piece[1]) "
    "WHEN 'd' THEN kusto_digits(abs(epoch_us(span)) // 86400000000, piece) "
    "WHEN 'h' THEN kusto_digits(abs(epoch_us(span)) // 3600000000 % 24, piece) "
    "WHEN 'm' THEN kusto_digits(abs(epoch_us(span)) // 60000000 % 60, piece) "
    "WHEN 's' THEN kusto_digits(abs(epoch_us(span)) // 1000000 % 60, piece) "
    "WHEN 'f' THEN left(kusto_digits(abs(epoch_us(span)) % 1000000, 'ffffff') || '0', length(piece)) "
    "ELSE piece END), 'string_agg', '')",
)
