"""Waiting for Azure's long-running operations, with a line that lives."""

from __future__ import annotations

import sys
import time
from typing import Any, Protocol, TypeVar

from IPython.display import display

Result = TypeVar("Result", covariant=True)
TICK = 0.5  # seconds between two updates of the line; the end of the operation is noticed at once


class Poller(Protocol[Result]):
    """What ``begin_...`` methods of Azure's clients return."""

    def done(self) -> bool:
        """Say whether the operation has ended."""

    def wait(self, timeout: float | None = None) -> None:
        """Wait for its end, at most ``timeout`` seconds."""

    def result(self, timeout: float | None = None) -> Result:
        """Return its result, or raise its error."""


def wait(poller: Poller[Result], what: str, on_azure: str = "") -> Result:
    """Wait for an operation and return its result; a line shows what is waited for, and for how long.

    Args:
        poller: what a ``begin_...`` method returned.
        what: what is being done, e.g. ``"create the endpoint"``.
        on_azure: how long that takes on Azure, e.g. ``"about 8 minutes"``.

    Raises:
        azure.core.exceptions.HttpResponseError: the operation failed; the message is Azure's.
    """
    line = _Line()
    began = time.monotonic()
    hint = f" (on Azure: {on_azure})" if on_azure else ""
    while not poller.done():
        line.show(f"… {what}: {time.monotonic() - began:.0f} s{hint}")
        poller.wait(TICK)
    try:
        result = poller.result()
    except Exception:
        line.show(f"✗ {what}: failed")
        raise
    line.show(f"✓ {what}: done{hint}")
    return result


class _Line:
    """A line of text that is replaced: a cell's output in a notebook, standard error elsewhere."""

    def __init__(self) -> None:
        self._handle: Any = None
        self._in_notebook = "ipykernel" in sys.modules

    def show(self, text: str) -> None:
        if not self._in_notebook:
            sys.stderr.write(f"\r\033[K{text}" + ("\n" if text[0] in "✓✗" else ""))
        elif self._handle is None:
            self._handle = display(_Text(text), display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._handle.update(_Text(text))


class _Text:
    """Plain text to display, without the quotation marks of a string."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text
