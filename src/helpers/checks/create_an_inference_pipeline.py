"""The exercises of *Create an inference pipeline*."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from helpers.verdicts import CheckResult, exercise, right, wrong

if TYPE_CHECKING:
    from designer.graph import Graph

WORDS = ("input", "stays", "applied", "saved", "goes")
BECOMES = {
    "import_orders": ("input", "a new customer's row comes in where last year's orders did"),
    "import_regions": ("saved", "no caller changes the regions; each row is joined with what was there"),
    "join": ("stays", "it does to one row what it did to all"),
    "script": ("stays", "it looks at a row by itself, so it can do the same to a caller's"),
    "clip": ("applied", "where it cuts was found in all the data; one row has no highest hundredth"),
    "normalize": ("applied", "the range was found in all the data; of one row there is none"),
    "split": ("goes", "it only picks rows to learn from"),
    "k_means": ("goes", "what it would learn has been learned"),
    "train": ("saved", "what it has made, the trained model, comes in as an asset"),
    "assign": ("stays", "it asks the model"),
    "evaluate": ("goes", "a caller's row is not for measuring the model"),
}
NO_GRAPH = "a graph is wanted, as the functions and edits of `designer` return it; this is of type {}."


def _boxes(graph: Graph, title: str) -> list[str]:
    return [name for name, node in graph.nodes.items() if node.component.display_name == title]


def _before(graph: Graph, node: str, title: str, seen: frozenset[str] = frozenset()) -> bool:
    """Say whether what a node gets has come through a box of a kind."""
    from designer.graph import FromNode

    sources = {one.node for one in graph.nodes[node].bindings.values() if isinstance(one, FromNode)} - seen
    found = any(graph.nodes[source].component.display_name == title for source in sources)
    return found or any(_before(graph, source, title, seen | sources) for source in sources)


def _unsound(answer: Any) -> CheckResult | None:
    """Refuse what is no graph, and a graph that could not be run."""
    import designer

    if not isinstance(answer, designer.Graph):
        return wrong(NO_GRAPH.format(type(answer).__name__))
    if problems := designer.problems(answer):
        return wrong(f"it could not be run: {problems[0]}")
    return None


@exercise("create_an_inference_pipeline/becomes", 'Write a dictionary such as {"join": "stays", ...}, with all keys.')
def becomes(answer: Any) -> CheckResult:
    """Accept what becomes of each box of a clustering graph."""
    if not isinstance(answer, Mapping):
        return wrong(f"a dictionary is wanted, this is of type {type(answer).__name__}.")
    for box, (expected, why) in BECOMES.items():
        if box not in answer:
            return wrong(f"{box} is missing.")
        said = str(answer[box]).strip().lower()
        if said not in WORDS:
            return wrong(f"{box}: {answer[box]!r} is none of {', '.join(WORDS)}.")
        if said != expected:
            return wrong(f"{box}: not {said}. {why[0].upper()}{why[1:]}.")
    return right("what a row goes through stays; what it cannot change is saved; the rest goes.")


@exercise("create_an_inference_pipeline/without_tables", "Which box's place are the rows to take? See `inputs`.")
def without_tables(answer: Any) -> CheckResult:
    """Accept a real-time inference graph in which rows come in behind both joins."""
    if refused := _unsound(answer):
        return refused
    entrances = _boxes(answer, "Web Service Input")
    if not entrances:
        return wrong("it has no Web Service Input, so it is none for a web service.")
    if len(entrances) > 1:
        return wrong("there are several Web Service Inputs; a caller is to send one table.")
    if joins := _boxes(answer, "Join Data"):
        return wrong(f"{joins[0]} is still there: the rows come in before the aircraft are looked up.")
    if not (scores := _boxes(answer, "Score Model")) or not _before(answer, scores[0], "Web Service Input"):
        return wrong("nothing scores the rows that come in.")
    if not (exits := _boxes(answer, "Web Service Output")) or not _before(answer, exits[0], "Score Model"):
        return wrong("no Web Service Output gets what was scored: nothing would be answered.")
    if len(_boxes(answer, "Apply Transformation")) < 3:
        return wrong("the rows come in too far down: medians, ranges and categories must be applied to them as well.")
    return right("nothing is looked up, and every number that is applied is still the training run's.")


@exercise("create_an_inference_pipeline/mended", "Begin with `friday.connect(...)`, and ask `designer.problems` again.")
def mended(answer: Any) -> CheckResult:
    """Accept Friday's graph, sound again, which answers what it answered before."""
    if refused := _unsound(answer):
        return refused
    if answer.name != "on Friday":
        return wrong("this is not Friday's graph: begin with `friday`, and edit it.")
    return next(_faults(answer), right("three were found by types, one only by asking what the graph is to answer."))


def _faults(graph: Graph) -> Iterator[CheckResult]:
    """Yield what validation cannot see: whether each box gets what is meant for it."""
    from designer.graph import FromInput

    for name in _boxes(graph, "Apply Transformation"):
        fitted = graph.nodes[name].bindings["transformation"]
        if not isinstance(fitted, FromInput) or not fitted.name.startswith(f"{name}_"):
            yield wrong(f"{name} gets {fitted}: of the right type, but fitted by another box.")
    for name in _boxes(graph, "Join Data"):
        if graph.nodes[name].bindings.get("join_type") != "Left Outer Join":
            yield wrong(f"{name}: which flights get lost by this kind of join? It was a left outer join.")
    exits = _boxes(graph, "Web Service Output")
    if not exits or not _before(graph, exits[0], "Score Model"):
        yield wrong("nothing is answered that was scored.")
    elif str(graph.nodes[exits[0]].bindings["dataset"]) != "select_answer.results_dataset":
        yield wrong("no problem is left, but the answer is not what it was: what does Web Service Output get?")


@exercise("create_an_inference_pipeline/monthly", "Two boxes read what the caller names; `expose` makes an input.")
def monthly(answer: Any) -> CheckResult:
    """Accept a batch inference graph with two tables of the caller's, and a choice of columns."""
    if refused := _unsound(answer):
        return refused
    if _boxes(answer, "Web Service Input") or _boxes(answer, "Web Service Output"):
        return wrong("that is the real-time inference pipeline; the batch one has no Web Service Input.")
    imports = [str(answer.nodes[name].bindings["data"]) for name in _boxes(answer, "Import Data")]
    for table in ("flights", "weather"):
        if table not in imports:
            return wrong(f"the caller cannot name {table}: no Import Data reads an input {table}.")
    if "planes" in imports:
        return wrong("the planes are read anew; they are to be saved data, as they were in the training run.")
    return _judged_by_choice(answer)


def _judged_by_choice(graph: Graph) -> CheckResult:
    if "with_rows" not in graph.inputs:
        return wrong("there is no input with_rows.")
    bound = [
        str(graph.nodes[name].bindings.get("append_score_columns_to_output")) for name in _boxes(graph, "Score Model")
    ]
    if "with_rows" not in bound:
        return wrong("the input with_rows is there, but Score Model does not get it.")
    if not graph.outputs:
        return wrong("the pipeline has no output: nobody would get the scores.")
    return right("flights and weather by the month, planes as saved, and no box was written for it.")
