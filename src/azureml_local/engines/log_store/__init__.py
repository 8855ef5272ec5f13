"""The log store of Azure Monitor: resource logs in a DuckDB file, owned by a process that is started when it is needed.

``client`` is the service's side, ``server`` the process, ``tables`` what it holds. Nothing is imported here, so that
the process loads no more than it needs.
"""

from __future__ import annotations

from typing import Any

READY = "ready"  # the first line that the process prints; another one says why it cannot begin


class AnswerableError(Exception):
    """What the process answers instead of a result.

    Args:
        status: the HTTP status.
        body: the answer, as JSON; with a ``message``.
    """

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(body["message"])
        self.status = status
        self.body = body
