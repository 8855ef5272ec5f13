"""The exercises of *Evaluate compute options*."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from helpers.verdicts import CheckResult, exercise, right, wrong

COLUMNS = ("real-time", "scales", "from zero", "guaranteed", "free idle")
YES = {"yes", "y", "true", "1", "✓"}
NO = {"no", "n", "false", "0", "✗"}
# A row an option: y(es), n(o), or - where it depends. From Microsoft's pages on compute targets, on endpoints and on
# serverless compute: https://learn.microsoft.com/azure/machine-learning/concept-compute-target
TRUTH = {
    "kubernetes": "yy-yn",
    "managed endpoint": "yynyn",
    "dedicated cluster": "nyyyy",
    "low-priority cluster": "nyyny",
    "serverless": "nyy-y",
    "compute instance": "nnnyn",
    "virtual machine": "nnnyn",
    "databricks": "n----",
    "local": "-n--y",
}
QUEUE = "its jobs wait in a queue, and nodes may have to start first"
ONE_MACHINE = "it is one machine, however much there is to do"
WHY = {
    ("kubernetes", "real-time"): "an online endpoint answers there: the notes' inference cluster",
    ("kubernetes", "scales"): "more copies of the model are started when more is asked",
    ("kubernetes", "guaranteed"): "its machines are yours; nothing takes them away",
    ("kubernetes", "free idle"): "its machines run, and are paid for, also while nobody asks",
    ("managed endpoint", "real-time"): "it answered your three rows at once",
    ("managed endpoint", "scales"): "autoscale rules change the number of its instances",
    ("managed endpoint", "from zero"): "what did it say to `instance_count=0`?",
    ("managed endpoint", "guaranteed"): "its instances are dedicated machines",
    ("managed endpoint", "free idle"): "at least one instance is always there",
    ("dedicated cluster", "real-time"): QUEUE,
    ("dedicated cluster", "scales"): "it grows up to `max_instances` by itself",
    ("dedicated cluster", "from zero"): "`min_instances` is 0",
    ("dedicated cluster", "guaranteed"): "only low priority is preempted",
    ("dedicated cluster", "free idle"): "no node, no price",
    ("low-priority cluster", "real-time"): QUEUE,
    ("low-priority cluster", "scales"): "it grows and shrinks as the dedicated one does",
    ("low-priority cluster", "from zero"): "`min_instances` is 0",
    ("low-priority cluster", "guaranteed"): "that is what the low price is for: nodes are taken away",
    ("low-priority cluster", "free idle"): "no node, no price",
    ("serverless", "real-time"): QUEUE,
    ("serverless", "scales"): "each job gets the machines that it asks for",
    ("serverless", "from zero"): "there are machines only while a job runs",
    ("serverless", "free idle"): "there are machines only while a job runs",
    ("compute instance", "real-time"): "it is a person's machine for work; nothing is deployed there for others",
    ("compute instance", "scales"): ONE_MACHINE,
    ("compute instance", "from zero"): "it runs on when nothing is done, unless it is told to stop",
    ("compute instance", "guaranteed"): "it is a dedicated machine",
    ("compute instance", "free idle"): "it costs as long as it runs",
    ("virtual machine", "real-time"): "no endpoint can be deployed there",
    ("virtual machine", "scales"): ONE_MACHINE,
    ("virtual machine", "from zero"): "it is there already, and Azure ML does not stop it",
    ("virtual machine", "guaranteed"): "it is yours, a dedicated machine",
    ("virtual machine", "free idle"): "you pay for it as for any virtual machine that runs",
    ("databricks", "real-time"): "no online endpoint can be deployed there",
    ("local", "scales"): ONE_MACHINE,
    ("local", "free idle"): "Azure does not charge for your own machine",
}


@exercise("evaluate_compute_options/table", "Copy the table into a text and write yes or no for each question mark.")
def table(answer: Any) -> CheckResult:
    """Accept the table as a text, as a dictionary of rows, or as a data frame."""
    rows = _rows(answer)
    if rows is None:
        return wrong(f"the table is wanted as a text; this is of type {type(answer).__name__}.")
    for option, truth in TRUTH.items():
        cells = rows.get(option)
        if cells is None:
            return wrong(f'there is no row "{option}".')
        if len(cells) != len(COLUMNS):
            return wrong(f'the row "{option}" has {len(cells)} answers; {len(COLUMNS)} are wanted.')
        for column, expected, cell in zip(COLUMNS, truth, cells, strict=True):
            if cell not in YES | NO:
                return wrong(f'"{option}", {column}: "{cell}" is neither yes nor no.')
            if expected != "-" and (cell in YES) != (expected == "y"):
                return wrong(f'"{option}", {column}: look again: {WHY[option, column]}.')
    return right("only two of nine serve in real time, and none of those two is free when nobody asks.")


def _rows(answer: Any) -> dict[str, list[str]] | None:
    """Return each option's answers in lower case; None where this is no table."""
    if isinstance(answer, str):
        split = [line.split("|") for line in answer.strip().splitlines() if "|" in line]
        found: Mapping[Any, Any] = {line[0]: line[1:] for line in split}
    elif hasattr(answer, "iterrows"):
        found = {name: list(row) for name, row in answer.iterrows()}
    elif isinstance(answer, dict):
        found = answer
    else:
        return None
    return {
        str(option).strip().lower(): [
            str(cell).strip().lower() for cell in (cells.values() if isinstance(cells, dict) else cells)
        ]
        for option, cells in found.items()
    }


RIGHT_CHOICES = {
    "shop": {"managed endpoint"},
    "factory": {"kubernetes"},
    "overnight": {"dedicated cluster", "serverless"},
    "sweep": {"low-priority cluster"},
    "newcomer": {"compute instance"},
    "spark": {"databricks"},
    "script": {"local"},
}
NO_ADDRESS = "it has no address, and a payment cannot wait in a queue."
WRONG_CHOICES = {
    ("shop", "kubernetes"): "it would answer in time; but who there looks after the cluster?",
    ("shop", "dedicated cluster"): NO_ADDRESS,
    ("shop", "low-priority cluster"): NO_ADDRESS,
    ("shop", "serverless"): NO_ADDRESS,
    ("shop", "local"): "on a machine of one person, for that person.",
    ("factory", "managed endpoint"): "its machines are in Azure's region, and the images must not leave.",
    ("factory", "local"): "that is for trying a script, not for a factory.",
    ("overnight", "low-priority cluster"): "cheap; but if nodes are taken away at five, it is not done at six.",
    ("overnight", "managed endpoint"): "it would be paid for all day, for nobody.",
    ("overnight", "kubernetes"): "its machines would be paid for all day, for nobody.",
    ("overnight", "compute instance"): "one machine, which somebody has to start and stop.",
    ("sweep", "dedicated cluster"): "it works, for five times the price. Each run may be repeated.",
    ("sweep", "serverless"): "it is dedicated unless the job says otherwise. Which option is cheap by its nature?",
    ("sweep", "compute instance"): "200 runs, one after the other, on one machine.",
    ("newcomer", "dedicated cluster"): "a cluster runs jobs. A notebook wants a machine that stays.",
    ("newcomer", "local"): "is there a GPU in that laptop?",
    ("spark", "dedicated cluster"): "the team has Spark code, and a platform made for it.",
    ("spark", "virtual machine"): "one machine is little for Spark.",
    ("script", "managed endpoint"): "that takes ten minutes, and is paid for. There is a way before it.",
    ("script", "compute instance"): "that one is paid for, too.",
}


@exercise("evaluate_compute_options/choices", "Assign a dictionary with the seven keys, and options of the table.")
def choices(answer: Any) -> CheckResult:
    """Accept for each need the option that fits it, and where two do, either."""
    if not isinstance(answer, dict):
        return wrong(f"a dictionary is wanted, this is of type {type(answer).__name__}.")
    if missing := [need for need in RIGHT_CHOICES if need not in answer]:
        return wrong(f"the keys are those of the table; missing: {', '.join(missing)}.")
    for need, fitting in RIGHT_CHOICES.items():
        option = str(answer[need]).strip().lower()
        if option not in TRUTH:
            return wrong(f'"{need}": "{answer[need]}" is none of {", ".join(TRUTH)}.')
        if option not in fitting:
            why = WRONG_CHOICES.get((need, option), "follow the decision tree once more, from its first question.")
            return wrong(f'"{need}", {option}: {why}')
    return right("each need has one answer, because the needs are said clearly. In practice that is the work.")


# Minutes of a run, USD an hour of the cluster's node and of the endpoint's instance; the first number of runs that
# costs more on the cluster, from runs * (5 + minutes + 2) / 60 * cluster > 24 * endpoint.
CASES = (
    ((10, 0.293, 0.146), 43),
    ((10, 1.0, 0.5), 43),
    ((53, 1.0, 0.55), 14),
    ((3, 2.0, 0.1), 8),
    ((23, 0.6, 0.11), 9),
)


@exercise("evaluate_compute_options/break_even", "Write a function of minutes and two prices; `cluster_hours` helps.")
def break_even(answer: Any) -> CheckResult:
    """Accept a function that returns the first whole number of runs a day at which the cluster costs more."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for case, expected in CASES:
        got = answer(*case)
        if got == expected:
            continue
        minutes, cluster_usd, endpoint_usd = case
        said = f"for break_even{case} your function says {got}"
        without_overhead = int(24 * 60 * endpoint_usd / (minutes * cluster_usd)) + 1
        if got == without_overhead:
            return wrong(f"{said}: a node is also paid for while it starts and while it idles.")
        if isinstance(got, int | float) and abs(got - expected) <= 1:
            return wrong(f"{said}; nearly. The first whole number at which the cluster costs more is wanted.")
        return wrong(f"{said}; at {expected} runs the cluster costs more for the first time.")
    return right("below that number a cluster is cheaper; above it you get answers at once for less.")
