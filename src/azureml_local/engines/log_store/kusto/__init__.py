"""Kusto queries over the log store: what Azure Monitor's Log Analytics answers, from DuckDB.

A query text goes through three steps, in the log store's own process:

1. ``translation``: `duckdb-kql` parses it and makes SQL of it; operators and functions that it lacks are in
   ``operators`` and ``functions``, which ``extension`` puts into it. Each table that a query names must be one of the
   log store's, by its exact name; what is not translated is refused by name.
2. ``execution``: the SQL runs on a connection of its own, in a transaction that cannot write. It sees no table but
   temporary views, one for each of Azure Monitor's, that hold only the rows that the caller may see (a *scope*: Log
   Analytics workspaces, a resource, a span of time). The text is a stranger's, so nothing rests on one of these alone:
   DuckDB itself is configured to reach no file, to load nothing and to let nobody change that, its memory is limited,
   and a query that takes too long is interrupted.
3. ``answers``: columns get Kusto's types, values the form that the REST API gives them; what is more than Azure returns
   is cut off, with Azure's partial error.

``errors`` has what is wrong with a query in Azure's words. Known not to work, and refused by name: ``evaluate``,
``mv-apply``, ``partition``, ``top-nested``, ``find``, ``scan``, ``externaldata``, ``workspace()``, functions that take
tables, and functions as :data:`errors.LACKING_FUNCTIONS`.
"""
