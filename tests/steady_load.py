"""Clients that send one request after another to an endpoint, and keep count of what they are answered."""

from __future__ import annotations

import collections
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from running_service import wait_for


@dataclass
class Load:
    """What was answered so far: each client's statuses and JSON bodies, in order."""

    answers: list[list[tuple[int, Any]]] = field(default_factory=list)
    broken: list[Exception] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)  # of what was not answered 200

    @property
    def statuses(self) -> collections.Counter[int]:
        return collections.Counter(status for client in self.answers for status, _ in client)

    @property
    def bodies(self) -> list[Any]:
        return [body for client in self.answers for status, body in client if status == 200]

    def wait_for_more(self, count: int = 20) -> None:
        """Return once so many more requests were answered 200."""
        goal = len(self.bodies) + count
        wait_for(lambda: len(self.bodies) >= goal or self.broken, f"{count} more answers")


@contextmanager
def under_load(post: Callable[[], requests.Response], clients: int = 2) -> Iterator[Load]:
    """Let clients send requests during the block. One whose connection breaks stops, and is noted in ``broken``."""
    load, stop = Load(), threading.Event()

    def ask(answers: list[tuple[int, Any]]) -> None:
        while not stop.is_set():
            try:
                answer = post()
            except requests.RequestException as error:
                load.broken.append(error)
                return
            answers.append((answer.status_code, answer.json() if answer.status_code == 200 else answer.text))
            if answer.status_code != 200:
                load.headers.append(answer.headers)

    load.answers = [[] for _ in range(clients)]
    threads = [threading.Thread(target=ask, args=(answers,), daemon=True) for answers in load.answers]
    for thread in threads:
        thread.start()
    try:
        load.wait_for_more()
        yield load
        load.wait_for_more()
    finally:
        stop.set()
        for thread in threads:
            thread.join(60)
    assert load.broken == []
