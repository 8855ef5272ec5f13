"""The exercises of *Build a batch pipeline*."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from helpers.flight_data import count_flights
from helpers.pipeline_graph import Graph, graph_of
from helpers.verdicts import CheckResult, exercise, right, wrong

KNOWN = frozenset("aceg")
WHEN = {
    "a": "the aircraft type stands in the plan",
    "b": "time in the air is known after the landing",
    "c": "last month is over",
    "d": "what is measured at the departure is known at the departure; the evening before there is only a forecast",
    "e": "tonight's forecast is there tonight",
    "f": "the aircraft's flight before this one is on the same day, so it has not begun the evening before",
    "g": "what else is planned stands in the plan",
}
STEPS = frozenset(("prepared", "scored", "counted", "collected"))
AGAIN = {
    "threshold": {"collected"},
    "model": {"scored", "collected"},
    "count": {"counted", "collected"},
    "plan": set(STEPS),
    "label": set(),
}
WEEKEND = ("2013-07-04", "2013-07-07")
# The model of either size announces 29 to 30 of 100 with the threshold of 0.3, at most 20 with 0.35, 42 with 0.25.
LEAST_LATE, MOST_LATE = 0.24, 0.36


def _words(answer: Any) -> set[str] | None:
    """Return an answer as a set of words in lower case; None where it is no set, list, tuple or text of words."""
    if isinstance(answer, str):
        answer = answer.replace(",", " ").split()
    if not isinstance(answer, set | frozenset | list | tuple):
        return None
    return {str(one).strip().lower() for one in answer}


@exercise("build_a_batch_pipeline/known", 'Write a set of letters, such as {"a", "b"}.')
def known(answer: Any) -> CheckResult:
    """Accept the letters of the columns that are known the evening before."""
    letters = _words(" ".join(answer) if isinstance(answer, str) else answer)  # "aceg" will do, too
    if letters is None:
        return wrong(f"a set of letters is wanted, this is of type {type(answer).__name__}.")
    if strangers := sorted(letters - set(WHEN)):
        return wrong(f"{strangers[0]} is none of the columns a to g.")
    if leaked := sorted(letters - KNOWN):
        return wrong(f"column {leaked[0]} leaks: {WHEN[leaked[0]]}.")
    if missed := sorted(KNOWN - letters):
        return wrong(f"column {missed[0]} may be used, too: {WHEN[missed[0]]}.")
    return right("what is planned, forecast or over is known; what happens on the day is not.")


@exercise("build_a_batch_pipeline/side_by_side", "Begin with a function that has `@dsl.pipeline` above it; call it.")
def side_by_side(answer: Any) -> CheckResult:
    """Accept a pipeline job in which one step prepares, two score with other models, and each has its collector."""
    from azure.ai.ml.entities import PipelineJob

    if callable(answer) and not isinstance(answer, PipelineJob):
        return wrong("this is the function. Call it with its inputs: what it returns is the job.")
    if not isinstance(answer, PipelineJob):
        return wrong(f"a pipeline job is wanted, this is of type {type(answer).__name__}.")
    graph = graph_of(answer)
    return _judged_by_interface(graph) or _judged_by_steps(graph)


def _judged_by_interface(graph: Graph) -> CheckResult | None:
    for kind, wanted in (("input", ("old", "new")), ("output", ("old_report", "new_report"))):
        missing = [name for name in wanted if f"{kind} {name}" not in graph.labels]
        if missing:
            return wrong(f"the pipeline has no {kind} {missing[0]} that is bound to a step.")
    return None


def _judged_by_steps(graph: Graph) -> CheckResult:
    """Follow the arrows backwards from each report: what collects, what scores, what prepares."""
    prepared = set()
    for model in ("old", "new"):
        collectors = _sources(graph, f"output {model}_report")
        scorers = [step for step in _targets(graph, f"input {model}") if step in _sources(graph, *collectors)]
        if not scorers:
            return wrong(f"follow the arrows back from {model}_report: no step that gets {model} is before it.")
        if any(f"input {other}" in _sources(graph, *scorers) for other in {"old", "new"} - {model}):
            return wrong("a step that scores gets one model. Two models are two steps of the same component.")
        before = [step for step in _sources(graph, *scorers) if step.startswith("step ")]
        if not set(before) <= set(_sources(graph, *collectors)):
            return wrong(f"{model}: flights are scored and collected from different steps.")
        prepared.update(before)
    if len(prepared) != 1:
        return wrong(f"the flights are prepared {len(prepared)} times; once is enough for both.")
    kinds = Counter(graph.kinds.values())
    if len(graph.kinds) != 5:
        return wrong(f"there are {len(graph.kinds)} steps; five are wanted: one prepares, two score, two collect.")
    if kinds["parallel"] != 2:
        return wrong("two steps score, so two of them are parallel.")
    return right("the flights are prepared once, and both models see the very same ones: a fair comparison.")


def _sources(graph: Graph, *targets: str) -> list[str]:
    return [edge.source for edge in graph.edges if edge.target in targets]


def _targets(graph: Graph, source: str) -> list[str]:
    return [edge.target for edge in graph.edges if edge.source == source]


@exercise("build_a_batch_pipeline/again_after", "Write a dictionary with the keys of the table and a set for each.")
def again_after(answer: Any) -> CheckResult:
    """Accept for each change the steps below it in the graph, itself included."""
    if not isinstance(answer, Mapping):
        return wrong(f"a dictionary is wanted, this is of type {type(answer).__name__}.")
    if missing := [key for key in AGAIN if key not in answer]:
        return wrong(f"the change {missing[0]} is missing.")
    for change, expected in AGAIN.items():
        steps = _words(answer[change]) if answer[change] != {} else set()
        if steps is None or steps - STEPS:
            return wrong(f"{change}: a set of some of {', '.join(sorted(STEPS))} is wanted.")
        if extra := sorted(steps - expected):
            return wrong(f"{change}: {extra[0]} gets the same inputs as before. Does anything above it change?")
        if missed := sorted(expected - steps):
            return wrong(f"{change}: {missed[0]} cannot be reused. What it is, or what it gets, has changed.")
    return right("a change runs down the arrows, and never up.")


@exercise("build_a_batch_pipeline/weekend", "Run the pipeline with other inputs, fetch its report, read it.")
def weekend(answer: Any) -> CheckResult:
    """Accept the summary of four days with a threshold of 0.3."""
    if not isinstance(answer, Mapping) or not {"flights", "scored", "late"} <= set(answer):
        return wrong("the contents of `summary.json` are wanted, as a dictionary: `json.loads` reads them.")
    planned = count_flights(*WEEKEND)
    if answer["flights"] != planned:
        return wrong(f"it is about {answer['flights']} flights; on these four days there are {planned}.")
    if answer["scored"] != planned:
        return wrong(f"only {answer['scored']} of {planned} flights were scored.")
    share = answer["late"] / planned
    if share < LEAST_LATE:
        return wrong(f"{share:.0%} are announced as late, too few for a threshold of 0.3. Was it given?")
    if share > MOST_LATE:
        return wrong(f"{share:.0%} are announced as late, too many for a threshold of 0.3. Was it given?")
    return right(f"{share:.0%} of the flights are announced as late; with 0.4 it would be about one in ten.")
