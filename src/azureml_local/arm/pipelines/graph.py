"""The graph of a pipeline's steps, by what each needs; pure functions."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from graphlib import CycleError, TopologicalSorter

Needs = Mapping[str, Collection[str]]  # the steps that each step waits for


class GraphError(ValueError):
    """The graph cannot be run; the message says why."""


def order(needs: Needs) -> list[str]:
    """Return the steps so that each comes after those that it needs.

    Raises:
        GraphError: steps wait for each other.
    """
    try:
        return list(TopologicalSorter(needs).static_order())
    except CycleError as error:
        # What comes from a step is listed before it: the way that data goes, read backwards.
        circle = " -> ".join(reversed(error.args[1]))
        raise GraphError(f"The steps of the pipeline wait for each other in a circle: {circle}.") from error


def ready(needs: Needs, begun: Collection[str], passed: Collection[str]) -> list[str]:
    """Return the steps that can begin, in the order of ``needs``.

    Args:
        needs: of the steps.
        begun: those that have been begun, whatever became of them.
        passed: those whose end lets others go on.
    """
    return [step for step, needed in needs.items() if step not in begun and set(needed) <= set(passed)]
