"""What the cells of the open notebooks do, as their kernels say it: one runs, one is done, one failed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, cast

from jupyter_client.session import Session
from jupyter_server.serverapp import ServerApp
from jupyter_server.services.kernels.kernelmanager import MappingKernelManager
from zmq.eventloop.zmqstream import ZMQStream

from workshop.board.reports import LONGEST_NAME, Cell

KERNEL_ACTIONS = "https://events.jupyter.org/jupyter_server/kernel_actions/v1"
# What ipykernel begins these messages' topics with; what cells print comes under others, and is left alone.
TOPIC = b"kernel."


class Cells:
    """The cell that ran last, of all kernels of a server, and whose it is.

    Args:
        on_change: called at each change.
    """

    def __init__(self, app: ServerApp, on_change: Callable[[], None]) -> None:
        self.last: Cell | None = None
        self.kernel = ""  # the id of the kernel that did something last
        self._manager: MappingKernelManager = app.kernel_manager
        self._on_change = on_change
        self._streams: dict[str, ZMQStream] = {}
        if app.event_logger is not None:
            app.event_logger.add_listener(schema_id=KERNEL_ACTIONS, listener=self._on_action)

    async def _on_action(self, logger: object, schema_id: str, data: dict[str, Any]) -> None:
        kernel, action = data.get("kernel_id", ""), data["action"]
        if action == "start" and kernel in self._manager:
            self._watch(kernel)
        if action == "shutdown" and kernel in self._streams:
            self._streams.pop(kernel).close()
        self._on_change()

    def _watch(self, kernel: str) -> None:
        manager = self._manager.get_kernel(kernel)
        session = Session(key=manager.session.key, signature_scheme=manager.session.signature_scheme)
        stream = cast(ZMQStream, manager.connect_iopub())  # Jupyter Server's kernel managers wrap the socket
        stream.socket.unsubscribe(b"")
        stream.socket.subscribe(TOPIC)
        stream.on_recv(lambda parts: self._on_message(kernel, session, parts))
        self._streams[kernel] = stream

    def _on_message(self, kernel: str, session: Session, parts: list[bytes]) -> None:
        try:
            message = session.deserialize(session.feed_identities(parts)[1])
        except (ValueError, IndexError, TypeError):
            return  # not a kernel's; a learner may run one of their own
        if cell := after(self.last if kernel == self.kernel else None, message, now()):
            self.last, self.kernel = cell, kernel
        if cell or message["content"].get("execution_state") == "idle":  # when a notebook's session is there, too
            self._on_change()


def now() -> datetime:
    """Return the time, in UTC, to the second."""
    return datetime.now(UTC).replace(microsecond=0)


def after(last: Cell | None, message: dict[str, Any], at: datetime) -> Cell | None:
    """Return what a message makes of the cell before; None where it changes nothing.

    A cell begins with its input, may fail, and is done when the kernel is idle; one that failed stays so.
    """
    kind, content = message["header"]["msg_type"], message["content"]
    if kind == "execute_input":
        return Cell("running", at)
    if kind == "error":
        return Cell("failed", at, str(content.get("ename", ""))[:LONGEST_NAME])
    ended = kind == "status" and content.get("execution_state") == "idle"
    return Cell("done", at) if ended and last is not None and last.state == "running" else None
