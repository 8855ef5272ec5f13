"""The traffic log of online endpoints: a row of Azure Monitor for each scoring request, where a setting wants it.

On the way of a request it costs a look-up where nobody wants it, and some microseconds where somebody does; the rest is
done afterwards, in small pieces between other work. Mirrored requests have no row: no client asked for them.
"""

from __future__ import annotations

import asyncio
import datetime
import uuid
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus

from azureml_local.arm import ids
from azureml_local.arm.monitor import resource_logs
from azureml_local.arm.monitor.resource_logs import ResourceLogs
from azureml_local.arm.online.endpoint_log_events import TrafficEvent
from azureml_local.dataplane.scoring_exchange import Exchange
from azureml_local.engines.log_store.stream import MOST_WAITING, EventStream
from azureml_local.store import LogEvent, Resource, Store

AT_ONCE = 20  # rows that are made before other work has its turn: less than a millisecond
LONGEST_USER_AGENT = 70
# https://learn.microsoft.com/azure/machine-learning/how-to-troubleshoot-online-endpoints#http-status-codes
REASONS: Mapping[int, str] = {
    200: "OK",
    401: "Unauthorized",
    404: "Not found",
    408: "Request timeout",
    424: "Model Error",
    429: "Too many pending requests",
    500: "Internal server error",
}
TOO_LARGE = (424, 413)  # the answer's status and the model's
TOO_LARGE_REASON = "Response payload too large"


@dataclass(frozen=True)
class _Logged:
    """An endpoint whose traffic somebody wants: guids of Log Analytics workspaces."""

    endpoint: Resource
    workspace: Resource
    sinks: tuple[str, ...]


class TrafficLog:
    """Listens to the scoring router.

    Args:
        store: holds the endpoints.
        logs: knows who wants their traffic.
        stream: takes the rows.
    """

    def __init__(self, store: Store, logs: ResourceLogs, stream: EventStream) -> None:
        self._store = store
        self._logs = logs
        self._stream = stream
        self._changes = -1
        self._logged: dict[str, _Logged | None] = {}
        self._waiting: deque[tuple[_Logged, float, TrafficEvent]] = deque()
        self._writing: asyncio.Task[None] | None = None
        self._writer = f"traffic-{uuid.uuid4().hex}"
        self._sequence = 0

    def __call__(self, exchange: Exchange) -> None:
        """Take note of a request that was answered."""
        logged = self._of(exchange.endpoint_id)
        if logged is None or exchange.is_mirrored or len(self._waiting) >= MOST_WAITING:
            return
        self._waiting.append((logged, exchange.began_at, _event(exchange, logged.endpoint)))
        if self._writing is None or self._writing.done():
            self._writing = asyncio.get_running_loop().create_task(self._write())

    async def close(self) -> None:
        """Make the rows that are not made yet."""
        if self._writing:
            await self._writing

    def _of(self, endpoint_id: str) -> _Logged | None:
        if self._store.changes != self._changes:
            self._changes = self._store.changes
            self._logged.clear()
        if endpoint_id not in self._logged:
            self._logged[endpoint_id] = self._look_up(endpoint_id)
        return self._logged[endpoint_id]

    def _look_up(self, endpoint_id: str) -> _Logged | None:
        sinks = tuple(self._logs.sinks(endpoint_id, TrafficEvent.category))
        endpoint = self._store.get(endpoint_id) if sinks else None
        workspace = self._store.get(ids.workspace_of(endpoint_id)) if endpoint else None
        return _Logged(endpoint, workspace, sinks) if endpoint and workspace else None

    async def _write(self) -> None:
        while self._waiting:
            await asyncio.sleep(0)
            for _ in range(min(AT_ONCE, len(self._waiting))):
                self._stream.put(self._rows(*self._waiting.popleft()))

    def _rows(self, logged: _Logged, began_at: float, event: TrafficEvent) -> Iterator[LogEvent]:
        when = datetime.datetime.fromtimestamp(began_at, datetime.UTC).isoformat(timespec="microseconds")[:26] + "Z"
        for guid in logged.sinks:
            self._sequence += 1
            line = resource_logs.record(logged.endpoint.id, logged.workspace, event, guid, when)
            yield LogEvent(self._sequence, self._writer, event.category, line)


def _event(exchange: Exchange, endpoint: Resource) -> TrafficEvent:
    asked, answered = dict(exchange.request_headers), dict(exchange.answer_headers)
    model_status, model_reason = model_answer(exchange.status, answered)
    return TrafficEvent(
        endpoint=endpoint.name,
        deployment=exchange.deployment,
        location=endpoint.body["location"],
        auth_type=endpoint.properties["authMode"],
        caller=exchange.caller,
        method=exchange.method,
        path=exchange.target.partition("?")[0],
        protocol=exchange.protocol,
        user_agent=asked.get(b"user-agent", b"").decode("latin-1")[:LONGEST_USER_AGENT],
        request_id=exchange.request_id,
        client_request_id=asked.get(b"x-ms-client-request-id", b"").decode("latin-1"),
        status=exchange.status,
        reason=_reason(exchange.status, model_status),
        model_status=model_status,
        model_reason=model_reason,
        request_size=len(exchange.request_body),
        answer_size=len(exchange.answer_body),
        total_ms=round((exchange.last_byte - exchange.began) * 1000),
        request_ms=round((exchange.received - exchange.began) * 1000) if exchange.received else None,
        answer_ms=round((exchange.first_byte - exchange.began) * 1000) if model_status else None,
    )


def model_answer(status: int, answered: Mapping[bytes, bytes]) -> tuple[int | None, str | None]:
    """Return the model's own status and reason, as the answer's headers have them where it did not succeed."""
    if status == HTTPStatus.OK:
        return 200, REASONS[200]
    error = answered.get(b"ms-azureml-model-error-statuscode")
    if error is None:
        return None, None
    return int(error), answered.get(b"ms-azureml-model-error-reason", b"").decode("latin-1")


def _reason(status: int, model_status: int | None) -> str:
    if (status, model_status) == TOO_LARGE:
        return TOO_LARGE_REASON
    return REASONS.get(status) or HTTPStatus(status).phrase
