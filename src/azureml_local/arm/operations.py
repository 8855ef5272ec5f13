"""Long-running operations (Azure's asynchronous protocol), which outlive the service's process.

A request that takes time is answered at once with 201 or 202 and the URL of its operation; the work goes on in a task.
Operations are stored: those that a crash cut off are started again, so that each ends in a true state.
https://learn.microsoft.com/azure/azure-resource-manager/management/async-operations
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from azureml_local.http.errors import AzureError
from azureml_local.store import Resource, Store, StoredOperation, once_written, timestamp

logger = logging.getLogger(__name__)

Work = Callable[[Resource], Awaitable[None]]

# A status request waits this long (seconds) for the end before it answers, so that clients hear of it at once
# although they poll.
LONGEST_HOLD = 1.0
# What clients are asked to wait between polls. `Retry-After: 0` would make azure-core wait 30 s.
POLL_AFTER_MS = 20


class Operations:
    """Starts operations, ends them, and says how they stand."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._work: dict[str, Work] = {}
        self._keep_state: set[str] = set()
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def register(self, kind: str, work: Work, *, keeps_state: bool = False) -> None:
        """Say what an operation of ``kind`` does. ``work`` raises AzureError where it fails; it may be run twice.

        ``keeps_state``: its end does not become the resource's ``provisioningState``.
        """
        self._work[kind] = work
        if keeps_state:
            self._keep_state.add(kind)

    def is_running_on(self, resource_id: str) -> bool:
        """Say whether an operation on this resource has not ended."""
        return resource_id.lower() in self._tasks

    def require_idle(self, resource_id: str) -> None:
        """Raise 409 while an operation on this resource has not ended."""
        if self.is_running_on(resource_id):
            name = resource_id.rpartition("/")[2]
            raise AzureError(
                409,
                "Conflict",
                f"The request cannot be processed while an operation on '{name}' is in progress. Wait for it to end, "
                "then retry.",
                target=name,
            )

    def begin(self, kind: str, resource: Resource, operation_id: str) -> None:
        """Start an operation of a registered kind on a stored resource, once the present transaction is on disk."""
        operation = StoredOperation(operation_id, kind, resource.key, "InProgress", None, timestamp(), None)
        self._store.put_operation(operation)
        self._store.after_commit(lambda: self._start(operation, resource))

    def resume(self) -> None:
        """Start again what an earlier process left unfinished."""
        for operation in self._store.unfinished_operations():
            resource = self._store.get(operation.resource)
            if resource is None:  # a deletion that was done but not noted
                self._write_end(operation, "Succeeded", None)
                continue
            logger.info("resuming %s on %s", operation.kind, resource.id)
            self._start(operation, resource)

    async def status(self, operation_id: str) -> StoredOperation | None:
        """Return how an operation stands, waiting a moment for its end."""
        operation = self._store.get_operation(operation_id)
        task = self._tasks.get(operation.resource) if operation else None
        if task:
            await asyncio.wait([task], timeout=LONGEST_HOLD)
            operation = self._store.get_operation(operation_id)
        return operation

    async def close(self) -> None:
        """Stop working; what is unfinished stays so and is resumed at the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _start(self, operation: StoredOperation, resource: Resource) -> None:
        task = asyncio.get_running_loop().create_task(self._run(operation, resource))
        self._tasks[operation.resource] = task
        task.add_done_callback(lambda _: self._forget(operation.resource, task))

    def _forget(self, key: str, task: asyncio.Task[None]) -> None:
        """Forget a task that is done, not another one that was begun on the same resource meanwhile."""
        if self._tasks.get(key) is task:
            del self._tasks[key]

    async def _run(self, operation: StoredOperation, resource: Resource) -> None:
        try:
            await self._work[operation.kind](resource)
        except AzureError as error:
            await self._end(operation, "Failed", error.body())
        except Exception:
            logger.exception("%s on %s failed", operation.kind, resource.id)
            message = f"{operation.kind} failed within azureml-local; its log has the details."
            await self._end(operation, "Failed", {"code": "InternalServerError", "message": message})
        else:
            await self._end(operation, "Succeeded", None)

    async def _end(self, operation: StoredOperation, status: str, error: dict[str, Any] | None) -> None:
        """Write the operation's end as soon as it can be written."""
        what = f"the end of {operation.kind} on {operation.resource}"
        await once_written(lambda: self._write_end(operation, status, error), what)

    def _write_end(self, operation: StoredOperation, status: str, error: dict[str, Any] | None) -> None:
        """Write the operation's end and the resource's state together."""
        with self._store.transaction():
            self._store.put_operation(replace(operation, status=status, error=error, ended_at=timestamp()))
            resource = self._store.get(operation.resource)
            if resource and operation.kind not in self._keep_state:
                self._store.save(resource.with_properties(provisioningState=status))
