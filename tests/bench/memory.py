"""What memory processes use at most, by what they are."""

from __future__ import annotations

import threading
from types import TracebackType

import psutil

SECONDS = 0.1
# The kinds of process that are watched, by a word of their command line.
KINDS = {
    "azureml_local.engines.compute.node": "a node",
    "parallel": "a worker",
    "engines/azurite": "the storage",
    "azureml_local": "the service",
}
MIB = 2**20


class Memory:
    """Watches a service and what it starts until it is left. ``peaks``: MiB of the largest process of each kind."""

    def __init__(self, pid: int) -> None:
        self._service = psutil.Process(pid)
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.peaks: dict[str, float] = {}

    def __enter__(self) -> Memory:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._is_over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._is_over.wait(SECONDS):
            for process in (self._service, *self._service.children(recursive=True)):
                try:
                    words = " ".join(process.cmdline())
                    used = process.memory_info().rss / MIB
                except psutil.Error:
                    continue  # it has ended
                kind = next((kind for word, kind in KINDS.items() if word in words and "guard.py" not in words), None)
                if kind:
                    self.peaks[kind] = max(self.peaks.get(kind, 0), used)
