"""What a component says when it cannot do its work."""

from __future__ import annotations


class ModuleError(Exception):
    """A component's input or parameter is not what it needs.

    Args:
        code: the number of the Designer's own error, e.g. 1 for a column that is not there:
            https://learn.microsoft.com/azure/machine-learning/component-reference/designer-error-codes
        reason: what is wrong, with the value, and what would be right.
        column: the column that it is about.
        row: the row, counted from 0.
        port: the port that it came through.
    """

    def __init__(
        self, code: int, reason: str, *, column: str | None = None, row: int | None = None, port: str | None = None
    ) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason
        self.column = column
        self.row = row
        self.port = port

    def __str__(self) -> str:
        places = [
            f"{kind} {place!r}"
            for kind, place in (("port", self.port), ("column", self.column), ("row", self.row))
            if place is not None
        ]
        where = f" ({', '.join(places)})" if places else ""
        return f"Error {self.code:04}: {self.reason}{where}"
