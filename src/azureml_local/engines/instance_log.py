"""Keeps the log of a deployment's instances small: what they say goes to one file, which nobody else would ever cut.

An instance holds the file open, to add to its end. So the file stays: when it is large, what it holds becomes its
``.1``, in place of the one before, and the file begins anew. The kubelet cuts a container's log at the same size
(containerLogMaxSize, https://kubernetes.io/docs/reference/config-api/kubelet-config.v1beta1/).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import threading
from collections import deque
from pathlib import Path

LARGEST = 10 * 1024 * 1024  # bytes
_beginning = threading.Lock()


async def bound(log: Path) -> None:
    """Begin the log anew where it is large. A line that is written in that moment may be lost."""
    with contextlib.suppress(OSError):  # a full disk: it is cut when there is room
        if os.stat(log).st_size > LARGEST:  # noqa: PTH116 - microseconds
            await asyncio.to_thread(_begin_anew, log)


def last_lines(log: Path, count: int) -> list[str]:
    """Return the log's last lines, each with its end."""
    lines: deque[str] = deque(maxlen=count)
    for part in (former(log), log):
        if part.exists():
            with part.open(errors="replace") as file:
                lines.extend(file)
    return list(lines)


def former(log: Path) -> Path:
    """Return where a log's lines are from before it began anew."""
    return log.with_name(f"{log.name}.1")


def _begin_anew(log: Path) -> None:
    with _beginning:
        if log.stat().st_size > LARGEST:  # another instance of the deployment may have looked at the same time
            shutil.copyfile(log, former(log))
            os.truncate(log, 0)
