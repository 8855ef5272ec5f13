"""The report card: each need, what was found of it, and what it costs; and the sum beside the budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from IPython.display import display

from helpers.pictures import show
from helpers.verdicts import COLOURS, MARKS

PART_COLOURS = ("#0072b2", "#e69f00", "#009e73")
LEFT = "text-align: left"


@dataclass(frozen=True)
class Row:
    """A line: the need, what was found, what it costs a month (None: nothing of its own), and whether it is met."""

    need: str
    evidence: str
    usd: float | None
    ok: bool

    @property
    def cost(self) -> str:
        """The cost as it is shown."""
        return "" if self.usd is None else f"{self.usd:.2f}"


class Card:
    """What is shown at the hand-over.

    Args:
        rows: the needs.
        costs: what each part costs, in USD a month.
        budget: what all may cost.
    """

    def __init__(self, rows: Sequence[Row], costs: Mapping[str, float], budget: float) -> None:
        self._costs, self._budget = costs, budget
        total = sum(costs.values())
        self._rows = [*rows, Row("the budget", f"{budget:.0f} USD a month", total, total <= budget)]

    def show(self) -> None:
        """Show a table, and a picture of the costs."""
        display(self)  # type: ignore[no-untyped-call]
        self._draw()

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return {"text/plain": str(self), "text/html": self._html()}

    def __str__(self) -> str:
        return "\n".join(f"{MARKS[row.ok]} {row.need}: {row.evidence} {row.cost}".rstrip() for row in self._rows)

    def _html(self) -> str:
        head = "".join(f'<th scope="col" style="{LEFT}">{name}</th>' for name in ("need", "found", "USD a month"))
        body = "".join(
            f'<tr><th scope="row" style="{LEFT}; border-left: 4px solid {COLOURS[row.ok]}">'
            f'{MARKS[row.ok]} {escape(row.need)}</th><td style="{LEFT}">{escape(row.evidence)}</td>'
            f'<td style="text-align: right">{row.cost}</td></tr>'
            for row in self._rows
        )
        return f'<table><caption style="{LEFT}">Report card</caption><tr>{head}</tr>{body}</table>'

    def _draw(self) -> None:
        import matplotlib.pyplot as plt

        figure, axis = plt.subplots(figsize=(7, 1.8), layout="constrained")
        left = 0.0
        for (what, usd), colour in zip(self._costs.items(), PART_COLOURS, strict=True):
            axis.barh([""], [usd], left=left, color=colour, label=f"{what} {usd:.2f}")
            left += usd
        axis.axvline(self._budget, color="#000000", linestyle="--", label=f"budget {self._budget:.0f}")
        axis.set(title="What it costs", xlabel="USD a month", xlim=(0, 1.05 * max(left, self._budget)))
        axis.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
        parts = ", ".join(f"{what} {usd:.2f}" for what, usd in self._costs.items())
        show(figure, alt=f"A bar of the costs, {parts} USD a month, beside the budget of {self._budget:.0f}")
