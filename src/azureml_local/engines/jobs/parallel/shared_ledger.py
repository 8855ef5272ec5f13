"""The ledger of a job as its nodes share it: the file itself on the service's machine, the service from another one.

SQLite keeps its locks on a local disk only, so that a node elsewhere cannot open the file: it asks the service to do
with the ledger what it would do itself. https://www.sqlite.org/useovernet.html
"""

from __future__ import annotations

import asyncio
import base64
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from azureml_local.engines.jobs.parallel.ledger import FILE, Ledger, MiniBatch, Tally, Try

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
Split = Callable[[], Iterable[tuple[Mapping[str, Any], int | None]]]

# What a node elsewhere may have done with its job's ledger.
OPERATIONS: Mapping[str, Callable[..., Any]] = {
    operation.__name__: operation
    for operation in (
        Ledger.begin_attempt,
        Ledger.is_planned,
        Ledger.items,
        Ledger.new_process,
        Ledger.pick,
        Ledger.plan,
        Ledger.release,
        Ledger.settle,
        Ledger.tally,
    )
}
TYPES: Mapping[str, Callable[..., Any]] = {"MiniBatch": MiniBatch, "Tally": Tally, "Try": Try}
TYPE = "$type"
# What comes of values that an operation cannot use; everything else is the ledger's own trouble.
WRONG_VALUES = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    sqlite3.IntegrityError,
    sqlite3.ProgrammingError,
)


class SharedLedger(Protocol):
    """A job's ledger, wherever it is."""

    async def do(
        self, operation: Callable[Concatenate[Ledger, Given], Answer], *given: Given.args, **named: Given.kwargs
    ) -> Answer:
        """Return what one of the :data:`OPERATIONS` returns."""

    async def plan(self, split: Split) -> None:
        """Write down the mini-batches; ``split`` takes its time, and makes them in a thread."""

    async def at_hand(self) -> Ledger:
        """Return the ledger as a file here, once no node works on it any more."""

    def close(self) -> None:
        """Close what is open here."""


class LocalLedger:
    """The ledger on the service's machine.

    Args:
        folder: the job's.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ledger = Ledger(folder)

    async def do(
        self, operation: Callable[Concatenate[Ledger, Given], Answer], *given: Given.args, **named: Given.kwargs
    ) -> Answer:
        """Do it at once: it takes a fraction of a second."""
        return operation(self._ledger, *given, **named)

    async def plan(self, split: Split) -> None:
        """Write down the mini-batches by a connection of the thread's own."""

        def write() -> None:
            ledger = Ledger(self._folder)
            try:
                ledger.plan(split())
            finally:
                ledger.close()

        await asyncio.to_thread(write)

    async def at_hand(self) -> Ledger:
        """Return the ledger."""
        return self._ledger

    def close(self) -> None:
        """Close the database."""
        self._ledger.close()


class DistantLedger:
    """The ledger, from another machine.

    Args:
        ask: has the service do something with it, given in JSON, and returns the answer.
        fetch: writes the ledger's file into a folder.
        folder: the node's own.
    """

    def __init__(self, ask: Callable[[Any], Any], fetch: Callable[[Path], Any], folder: Path) -> None:
        self._ask = ask
        self._fetch = fetch
        self._folder = folder
        self._copy: Ledger | None = None

    async def do(
        self, operation: Callable[Concatenate[Ledger, Given], Answer], *given: Given.args, **named: Given.kwargs
    ) -> Answer:
        """Have the service do it."""
        asked = {"operation": operation.__name__, "given": plain(given), "named": plain(named)}
        answer: Answer = whole(await self._ask(asked))
        return answer

    async def plan(self, split: Split) -> None:
        """Have the service write down the mini-batches."""
        await self.do(Ledger.plan, await asyncio.to_thread(lambda: list(split())))

    async def at_hand(self) -> Ledger:
        """Return a copy of the ledger."""
        if self._copy is None:
            await self._fetch(self._folder / FILE)
            self._copy = Ledger(self._folder)
        return self._copy

    def close(self) -> None:
        """Close the copy."""
        if self._copy:
            self._copy.close()


def do_for_another(ledger: Ledger, asked: Mapping[str, Any]) -> Any:
    """Do what a node elsewhere asks, and return the answer in JSON.

    Raises:
        ValueError: it asks for what there is not, or with values of other types.
    """
    try:
        return plain(OPERATIONS[asked["operation"]](ledger, *whole(asked["given"]), **whole(asked["named"])))
    except WRONG_VALUES as error:
        raise ValueError(f"{type(error).__name__}: {error}") from error


def plain(value: Any) -> Any:
    """Return a value as JSON has it; :func:`whole` returns it again, tuples as lists."""
    if isinstance(value, bytes):
        return {TYPE: "bytes", "base64": base64.b64encode(value).decode()}
    if is_dataclass(value) and not isinstance(value, type):
        fields = {name: plain(field) for name, field in asdict(value).items()}
        return {TYPE: type(value).__name__, **fields}
    if isinstance(value, Mapping):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    return value


def whole(value: Any) -> Any:
    """Return a value of what :func:`plain` has made of it."""
    if isinstance(value, list):
        return [whole(one) for one in value]
    if not isinstance(value, dict):
        return value
    fields = {name: whole(one) for name, one in value.items() if name != TYPE}
    if value.get(TYPE) == "bytes":
        return base64.b64decode(value["base64"])
    return TYPES[value[TYPE]](**fields) if TYPE in value else fields
