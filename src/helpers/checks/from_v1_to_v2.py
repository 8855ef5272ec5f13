"""The exercises of *From version 1 to version 2*."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from helpers.verdicts import CheckResult, exercise, right, wrong

# https://learn.microsoft.com/azure/machine-learning/migrate-to-v2-execution-pipeline,
# https://learn.microsoft.com/azure/machine-learning/migrate-to-v2-deploy-pipelines
TWINS = {
    "ParallelRunStep": "parallel_run_function",
    "PythonScriptStep": "command component",
    "OutputFileDatasetConfig": "output",
    "PipelineParameter": "input",
    "PublishedPipeline": "deployment",
    "PipelineEndpoint": "batch endpoint",
    "set_default": "default deployment",
    "Schedule.create": "JobSchedule",
    "get_output_data": "jobs.download",
    "path_on_datastore": "none",
}
WHY = {
    "ParallelRunStep": "which part of version 2 hands mini-batches to an entry script?",
    "PythonScriptStep": "it runs one script, once. What runs a command in version 2?",
    "OutputFileDatasetConfig": "it is where a step writes, and another one reads.",
    "PipelineParameter": "its value is given with each run.",
    "PublishedPipeline": "it is one version of the pipeline; the address is another thing.",
    "PipelineEndpoint": "it is the address that stays while versions come and go.",
    "set_default": "it says which version answers when none is named.",
    "Schedule.create": "it starts runs by the clock.",
    "get_output_data": "it fetches what a step has written.",
    "path_on_datastore": "version 1 asked the storage again and again whether a file has changed. Who does that in v2?",
}


@exercise("from_v1_to_v2/twins", "Write one of the ten words of the list for each part of version 1.")
def twins(answer: Any) -> CheckResult:
    """Accept a dictionary that names the twin of each part of version 1."""
    if not isinstance(answer, dict):
        return wrong(f"a dictionary is wanted, this is of type {type(answer).__name__}.")
    missing = [name for name in TWINS if name not in answer]
    if missing:
        return wrong(f"missing: {', '.join(missing)}.")
    known = {twin.lower() for twin in TWINS.values()}
    for name, twin in TWINS.items():
        given = str(answer[name]).strip().lower()
        if given not in known:
            return wrong(f'"{answer[name]}", for {name}, is none of {", ".join(TWINS.values())}.')
        if given != twin.lower():
            return wrong(f"{name}: look again; {WHY[name]}")
    return right("nine have a twin, and one has none: that one has to be thought of before a move.")


NIGHT = {"ExperimentName": "night", "ParameterAssignments": {"days": 3, "threshold": 0.3}}
PLAN = {"DataStoreName": "workspaceblobstore", "RelativePath": "plans/july.csv"}
BODIES: list[dict[str, Any]] = [
    {"ExperimentName": "night"},
    NIGHT,
    {"ParameterAssignments": {"first_day": "2013-07-01"}, "RunSource": "API"},
    {**NIGHT, "DataPathAssignments": {"plan": PLAN}},
]
PLAN_URI = "azureml://datastores/workspaceblobstore/paths/plans/july.csv"


@exercise("from_v1_to_v2/translate", "Begin with `ParameterAssignments`: each becomes a Literal with a Value.")
def translate(answer: Any) -> CheckResult:
    """Accept a function that makes of a request to a published pipeline the request to a batch endpoint."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for body in BODIES:
        made = answer({name: dict(value) if isinstance(value, dict) else value for name, value in body.items()})
        problem = next(_problems(made, body), None)
        if problem:
            return wrong(f"{body}: {problem}")
    return right("a caller who sends the old body can be served while he is moved.")


def _problems(made: Any, body: dict[str, Any]) -> Iterator[str]:
    """Yield what is wrong with a body for version 2 that was made of one for version 1."""
    if not isinstance(made, dict) or not isinstance(made.get("properties"), dict):
        yield "all that is said stands in `properties`; here is no such dictionary."
        return
    if "ParameterAssignments" in made["properties"]:
        yield "`ParameterAssignments` is a word of version 1; a batch endpoint looks for `InputData`."
    inputs = _lower(made["properties"]).get("inputdata", {})
    values = body.get("ParameterAssignments", {})
    paths = body.get("DataPathAssignments", {})
    if set(inputs) != {*values, *paths}:
        yield f"the inputs are {sorted(inputs)}; {sorted({*values, *paths})} are wanted."
        return
    for name, value in values.items():
        given = _lower(inputs[name])
        if str(given.get("jobinputtype", "")).lower() != "literal":
            yield f"`{name}` is a value, no data: its JobInputType is Literal."
        elif given.get("value") != value:
            yield f"`{name}` is {given.get('value')!r} now; it was {value!r}."
    for name in paths:
        given = _lower(inputs[name])
        if str(given.get("jobinputtype", "")).lower() != "urifile":
            yield f"`{name}` is a file: its JobInputType is UriFile."
        elif given.get("uri") != PLAN_URI:
            yield f"`{name}` lies at {given.get('uri')!r} now; {PLAN_URI!r} is meant."


def _lower(value: Any) -> dict[str, Any]:
    return {key.lower(): inner for key, inner in value.items()} if isinstance(value, dict) else {}


CONFIG = {
    "mini_batch_size": 2,
    "node_count": 4,
    "process_count_per_node": 3,
    "error_threshold": 10,
    "run_invocation_timeout": 90,
    "run_max_try": 3,
}
# https://learn.microsoft.com/azure/machine-learning/migrate-to-v2-execution-parallel-run-step. Tries count the first
# one, retries do not: their defaults are 3 and 2.
SETTINGS = {"mini_batch_size": 2, "instance_count": 4, "max_concurrency_per_instance": 3, "error_threshold": 10}
RETRIES = {"timeout": 90, "max_retries": 2}
HINTS = {
    "instance_count": "how many nodes there are",
    "max_concurrency_per_instance": "how many workers each node has",
    "mini_batch_size": "how many files a mini-batch has",
    "error_threshold": "how many items may fail in all",
}


@exercise(
    "from_v1_to_v2/settings",
    "Compare the two calls; mind what `run_max_try` counts, and what `max_retries` does.",
)
def settings(answer: Any) -> CheckResult:
    """Accept a function that turns the arguments of a ``ParallelRunConfig`` into those of ``parallel_run_function``."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for tries in (3, 1):
        made = answer({**CONFIG, "run_max_try": tries})
        if not isinstance(made, dict):
            return wrong(f"a dictionary is to be returned, not {type(made).__name__}.")
        problem = next(_misnamed(made, tries - 1), None)
        if problem:
            return wrong(problem)
    return right("the same numbers under other names, but for one: a retry is not a try.")


def _misnamed(made: dict[str, Any], retries: int) -> Iterator[str]:
    yield from (f"`{name}` is a name of version 1." for name in CONFIG if name in made and name not in SETTINGS)
    for name, wanted in SETTINGS.items():
        if name not in made:
            yield f"`{name}` is missing: {HINTS[name]}."
        elif str(made[name]) != str(wanted):
            yield f"`{name}` is {made[name]}; it says {HINTS[name]}, and that was {wanted}."
    given = made.get("retry_settings")
    # A class of the SDK's will do as well as a dictionary.
    given = given if isinstance(given, dict) else getattr(given, "__dict__", {})
    if "timeout" not in given or "max_retries" not in given:
        yield "`retry_settings` with a `timeout` and `max_retries` is missing."
    elif int(given["timeout"]) != RETRIES["timeout"]:
        yield f"the time-out is {given['timeout']}; run() was allowed {RETRIES['timeout']} seconds."
    elif int(given["max_retries"]) == retries + 1:
        yield f"run_max_try={retries + 1} counts the first try, too; how often was it tried again?"
    elif int(given["max_retries"]) != retries:
        yield f"max_retries is {given['max_retries']}; {retries} is wanted."
