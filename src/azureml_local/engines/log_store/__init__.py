"""The log store of Azure Monitor: resource logs in a DuckDB file, owned by a process that is started when it is needed.

``client`` is the service's side, ``server`` the process, ``tables`` what it holds. Nothing is imported here, so that
the process loads no more than it needs.
"""

READY = "ready"  # the first line that the process prints; another one says why it cannot begin
