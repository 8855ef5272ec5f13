"""What a web service of the Designer answers when it cannot score: which input, node, column and row, and why.

The format, and the words that a message begins with, are those of the Designer's retired engine
(PyPI: azureml-designer-serving 0.0.19, ``request_handler``): ``{"error": {"code", "message", "details"}}``. There,
``details`` was empty; here it is a list, with one object for each thing that is wrong.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

BAD_INPUT, BAD_MODULE, BAD_METHOD, OUR_FAULT = (
    "Input Data Error.",
    "Module Executing Error.",
    "HTTP Method Not Supported.",
    "Internal Server Error.",
)


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a request.

    Args:
        reason: what is wrong, and what would be right.
        place: where: ``input``, ``node``, ``component``, ``port``, ``column``, ``row``, ``parameter``, as far as known.
    """

    reason: str
    place: dict[str, Any]

    def __str__(self) -> str:
        where = ", ".join(f"{kind} {value!r}" for kind, value in self.place.items())
        return f"{self.reason} ({where})" if where else self.reason


def problem(reason: str, **place: Any) -> Problem:
    """Return a problem; what is None of the place is left out."""
    return Problem(reason, {kind: value for kind, value in place.items() if value is not None})


class RequestError(Exception):
    """A request cannot be answered.

    Args:
        problems: what is wrong, at least one.
        status: the status code of the answer.
        kind: what its message begins with.
    """

    def __init__(self, problems: Sequence[Problem], status: int = 400, kind: str = BAD_INPUT) -> None:
        super().__init__(str(problems[0]))
        self.problems = problems
        self.status = status
        self.kind = kind

    def body(self) -> dict[str, Any]:
        """Return the answer's content."""
        more = f" And {len(self.problems) - 1} more; see details." if len(self.problems) > 1 else ""
        details = [{**one.place, "reason": one.reason} for one in self.problems]
        return {"error": {"code": self.status, "message": f"{self.kind} {self.problems[0]}{more}", "details": details}}
