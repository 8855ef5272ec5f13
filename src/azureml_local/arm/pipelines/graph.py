"""The graph of a pipeline's steps, by what each needs; pure functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter


class GraphError(ValueError):
    """The graph cannot be run; the message says why."""


@dataclass(frozen=True)
class Graph:
    """The steps of a pipeline.

    Args:
        needs: the steps that each step waits for.
        spares: those of them that a step can do without, should they fail.
    """

    needs: Mapping[str, Collection[str]]
    spares: Mapping[str, Collection[str]]

    def require_order(self) -> None:
        """Raise GraphError where steps wait for each other."""
        try:
            TopologicalSorter(self.needs).prepare()
        except CycleError as error:
            circle = " -> ".join(error.args[1])  # each comes before the one that waits for it
            raise GraphError(f"steps wait for each other in a circle: {circle}") from error

    @cached_property
    def _order(self) -> list[str]:
        """The steps, each after those that it needs."""
        return list(TopologicalSorter(self.needs).static_order())

    def lost(self, failed: Collection[str]) -> set[str]:
        """Return the steps that never pass: those that failed, and those that cannot do without one of them."""
        lost = set(failed)
        for step in self._order if lost else ():
            if any(needed in lost and needed not in self.spares[step] for needed in self.needs.get(step, ())):
                lost.add(step)
        return lost

    def ready(self, begun: Collection[str], passed: Collection[str], failed: Collection[str]) -> list[str]:
        """Return the steps that can begin, in the order in which the pipeline names them.

        Args:
            begun: those that have been begun, whatever became of them.
            passed: those that have ended well.
            failed: those that have ended otherwise.
        """
        lost = self.lost(failed)
        settled = lost.union(passed)
        gone = lost.union(begun)
        return [step for step, needed in self.needs.items() if step not in gone and settled.issuperset(needed)]
