"""The exercises of *Build a training pipeline*."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from helpers.verdicts import CheckResult, exercise, right, wrong

if TYPE_CHECKING:
    from designer.graph import Graph

REFUSED = frozenset("bcg")
CONNECTIONS = {
    "a": "a trained model goes where one is asked for",
    "b": "a dataset is not a model, whatever is in it",
    "c": "this model has learned nothing yet: it comes from the learner, not from Train Model",
    "d": "Apply Transformation takes whatever a component has fitted",
    "e": "the second port of Evaluate Model is there for another model's scores",
    "f": "both are datasets. It is a bad idea, the model has seen these rows, but that is not for a port to know",
    "g": "what Normalize Data has fitted is a transformation; the dataset comes out beside it",
}
FALSE_ALARM, MISSED = 1, 4
# Probabilities and what happened; the costs have one lowest place in each.
NIGHTS = (
    ([0.12, 0.22, 0.32, 0.62, 0.72, 0.82], [0, 0, 0, 1, 1, 1], "all late flights are above 0.32"),
    ([0.12, 0.17, 0.22, 0.27, 0.32, 0.92], [0, 0, 1, 0, 0, 1], "a late flight has only 0.22, and missing it is dear"),
    (
        [0.17, 0.22, 0.22, 0.27, 0.32, 0.37, 0.37, 0.72],
        [1, 0, 0, 0, 0, 0, 0, 1],
        "here, finding the last late flight is dearer than missing it",
    ),
)


def _letters(answer: Any) -> set[str] | None:
    """Return an answer as a set of letters; None where it is no set, list, tuple or text."""
    if isinstance(answer, str):
        answer = [one for one in answer if one.isalpha()]
    if not isinstance(answer, set | frozenset | list | tuple):
        return None
    return {str(one).strip().lower() for one in answer}


@exercise("build_a_training_pipeline/refused", 'Write a set of letters, such as {"a", "b"}.')
def refused(answer: Any) -> CheckResult:
    """Accept the letters of the connections whose two ports are of different types."""
    letters = _letters(answer)
    if letters is None:
        return wrong(f"a set of letters is wanted, this is of type {type(answer).__name__}.")
    if strangers := sorted(letters - set(CONNECTIONS)):
        return wrong(f"{strangers[0]} is none of the connections a to g.")
    if extra := sorted(letters - REFUSED):
        return wrong(f"connection {extra[0]} is allowed: {CONNECTIONS[extra[0]]}.")
    if missed := sorted(REFUSED - letters):
        return wrong(f"connection {missed[0]} is refused, too: {CONNECTIONS[missed[0]]}.")
    return right("types are compared, not intentions: f is allowed, and gives figures that are too good.")


@exercise("build_a_training_pipeline/split_first", "Split before you normalise; begin with a `@dsl.pipeline` function.")
def split_first(answer: Any) -> CheckResult:
    """Accept a pipeline in which no normalisation has seen the rows that the model is judged by."""
    from azure.ai.ml.entities import PipelineJob

    import designer

    if callable(answer) and not isinstance(answer, PipelineJob):
        return wrong("this is the function. Call it with its inputs: what it returns is the job.")
    if not isinstance(answer, PipelineJob):
        return wrong(f"a pipeline job is wanted, this is of type {type(answer).__name__}.")
    graph = designer.read_graph(answer)
    if problems := designer.problems(graph):
        return wrong(f"the graph would be refused: {problems[0]}")
    return _judged_by_arrows(graph)


def _judged_by_arrows(graph: Graph) -> CheckResult:
    """Follow the arrows: from the split to the fit, to the training, to the scores."""
    kinds = ("Split Data", "Normalize Data", "Apply Transformation", "Train Model", "Score Model")
    found = {
        kind: [name for name, node in graph.nodes.items() if node.component.display_name == kind] for kind in kinds
    }
    if missing := [kind for kind, nodes in found.items() if not nodes]:
        return wrong(f"there is no {missing[0]}.")
    if len(found["Normalize Data"]) > 1:
        return wrong("Normalize Data fits anew each time. The second time, apply what the first has fitted.")
    (normalize,), (train, *_), (score, *_) = found["Normalize Data"], found["Train Model"], found["Score Model"]
    fitted_to = _data_before(graph, normalize)
    if not _halves(graph, fitted_to):
        return wrong("Normalize Data gets all rows, before they are split: the rows of the test have a say in it.")
    if _halves(graph, fitted_to) != _halves(graph, _data_before(graph, train)):
        return wrong("Normalize Data and Train Model are to get the same part of the rows.")
    if (normalize, "transformed_dataset") not in _data_before(graph, train):
        return wrong("Train Model gets rows that are not normalised.")
    return _judged_by_test_rows(graph, normalize, _halves(graph, fitted_to), _data_before(graph, score))


def _called(graph: Graph, kind: str) -> list[str]:
    return [name for name, node in graph.nodes.items() if node.component.display_name == kind]


def _judged_by_test_rows(
    graph: Graph, normalize: str, fitted_to: set[str], scored: set[tuple[str, str]]
) -> CheckResult:
    if (normalize, "transformed_dataset") in scored or _halves(graph, scored) & fitted_to:
        return wrong("Score Model gets rows that the model has learned from.")
    applied = [node for node, _ in scored if graph.nodes[node].component.display_name == "Apply Transformation"]
    if not applied:
        return wrong("the rows that are scored are not normalised: put Apply Transformation in their way.")
    if not any((normalize, "transformation_function") in _sources(graph, node) for node in applied):
        return wrong("Apply Transformation is to get what Normalize Data has fitted, its second output.")
    return right("what was fitted to one part is applied to the other, as it will be to flights of next year.")


def _sources(graph: Graph, node: str) -> set[tuple[str, str]]:
    from designer.graph import FromNode

    bindings = graph.nodes[node].bindings.values()
    return {(bound.node, bound.port) for bound in bindings if isinstance(bound, FromNode)}


def _data_before(graph: Graph, node: str) -> set[tuple[str, str]]:
    """Return the output ports that a node's dataset has come through, from the nearest to the farthest."""
    found: set[tuple[str, str]] = set()
    waiting = [node]
    while waiting:
        for source, port in _sources(graph, waiting.pop()) - found:
            if graph.nodes[source].component.outputs[port].data_type == "DataFrameDirectory":
                found.add((source, port))
                waiting.append(source)
    return found


def _halves(graph: Graph, ports: set[tuple[str, str]]) -> set[str]:
    """Return which parts of a split the ports are."""
    return {port for node, port in ports if graph.nodes[node].component.display_name == "Split Data"}


@exercise("build_a_training_pipeline/weekend", "Write a function of a dataset; `time_of_day.py` shows how one looks.")
def weekend(answer: Any) -> CheckResult:
    """Accept a component's function that adds the column weekend and leaves the rest alone."""
    import pandas as pd
    from designer_modules import LABEL, Dataset, registry

    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    try:
        ports = [name for name, one in registry.inputs_of(answer).items() if one.is_port]
    except (KeyError, TypeError):
        return wrong("its arguments need annotations, such as `dataset: Dataset`: they say which of them are ports.")
    if len(ports) != 1:
        return wrong(f"one port is wanted, an argument of type Dataset; there are {len(ports)}.")
    days = [5, 0, 6, 4, 3]
    frame = pd.DataFrame({"weekday": days, "late": [0, 1, 0, 1, 0]}, index=[4, 3, 2, 1, 0])
    before = frame.copy()
    (result, *more) = registry.call(answer, {ports[0]: Dataset(frame, {"late": LABEL})})
    if more or not isinstance(result, Dataset):
        return wrong(f"it is to return one Dataset, and returns {type(result).__name__}: `dataset.with_frame(...)`.")
    if not frame.equals(before):
        return wrong("it changes the table that it is given. Others use that, too: `assign` makes a new one.")
    if result.label != "late":
        return wrong("the label has lost its role: `dataset.with_frame(...)` keeps it.")
    return _judged_by_column(result.frame, before, days)


def _judged_by_column(found: Any, before: Any, days: list[int]) -> CheckResult:
    if "weekend" not in found:
        return wrong("there is no column weekend.")
    if not found.drop(columns="weekend").equals(before):
        return wrong("the other columns, or the rows, are no longer as they were.")
    values = found["weekend"].tolist()
    for day, value in zip(days, values, strict=True):
        if _truth(value) != (day >= 5):
            return wrong(f"weekday {day} gets {value!r}. 0 is Monday, so 5 and 6 are the weekend.")
    return right("with a declaration beside it, it is a component like any other.")


def _truth(value: Any) -> bool | None:
    """Read a value as true or false, in the ways in which a column may say so; None for any other, such as a gap."""
    true, false = ("true", "1", "1.0", "yes", "weekend"), ("false", "0", "0.0", "no", "weekday")
    return {**dict.fromkeys(true, True), **dict.fromkeys(false, False)}.get(str(value).lower())


@exercise("build_a_training_pipeline/cheapest", "Write a function of a table that returns a number between 0 and 1.")
def cheapest(answer: Any) -> CheckResult:
    """Accept a function that finds a threshold whose costs are the lowest, on scored data of which it knows nothing."""
    import pandas as pd

    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for probabilities, late, why in NIGHTS:
        scored = pd.DataFrame({"late": late, "Scored Labels": 0, "Scored Probabilities": probabilities})
        threshold = answer(scored)
        if isinstance(threshold, bool) or not _is_number(threshold) or not 0 <= threshold <= 1:
            return wrong(f"it returns {threshold!r}; a threshold between 0 and 1 is wanted.")
        lowest = min(_costs(probabilities, late, step / 100) for step in range(101))
        if (costs := _costs(probabilities, late, threshold)) > lowest:
            return wrong(f"it returns {threshold:.2f}, which costs {costs} where {lowest} would do: {why}.")
    return right("a missed flight is four times as dear as a false alarm, so one announces more than at 0.5.")


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return not isinstance(value, str | Mapping)


def _costs(probabilities: list[float], late: list[int], threshold: float) -> int:
    pairs = list(zip(probabilities, late, strict=True))
    alarms = sum(FALSE_ALARM for probability, is_late in pairs if probability >= threshold and not is_late)
    return alarms + sum(MISSED for probability, is_late in pairs if probability < threshold and is_late)
