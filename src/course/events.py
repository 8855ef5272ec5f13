"""What the process that runs a notebook tells the one that started it: one JSON object a line."""

from typing import Literal, TypedDict


class Opened(TypedDict):
    """The notebook was read. ``cells`` counts all of them, text included."""

    event: Literal["opened"]
    title: str
    cells: int


class CellStarted(TypedDict):
    """A code cell was handed to the kernel."""

    event: Literal["cell_started"]
    number: int
    source: str


class CellEnded(TypedDict):
    """The kernel answered, with a result or an error."""

    event: Literal["cell_ended"]
    number: int


class Ended(TypedDict):
    """The last event. ``cell`` is the number of the cell that failed; what is unknown or passed is None or empty.

    ``broken`` says that the failure is none of a cell's: the notebook could not be run, or its kernel died.
    """

    event: Literal["ended"]
    status: Literal["passed", "failed"]
    broken: bool
    cell: int | None
    error: str
    traceback: str


Event = Opened | CellStarted | CellEnded | Ended
