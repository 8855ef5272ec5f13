"""The exercises of *Train an image classifier on a GPU cluster*."""

from __future__ import annotations

import re
from typing import Any

from helpers.verdicts import CheckResult, exercise, right, wrong

# What stands for each option of evaluate.py: an input or an output; and for a folder that comes in, its asset.
OPTIONS = {"images": "inputs", "model": "inputs", "least": "inputs", "report": "outputs"}
ASSETS = {"images": "digit-images:1", "model": "digit-network:1"}
FOLDERS = ("uri_folder", "custom_model")
LEAST = 0.95
MINUTES = 10


@exercise(
    "train_on_gpu_cluster/write_the_command",
    "Call `command(...)` as `training_job` does, with another command, other inputs and another output.",
)
def write_the_command(answer: Any) -> CheckResult:
    """Accept a command whose four options are filled in from two folders, a number and an output."""
    from azure.ai.ml.entities import Command

    if not isinstance(answer, Command):
        return wrong(f"what `command(...)` returns is wanted; this is of type {type(answer).__name__}.")
    if "evaluate.py" not in str(answer.command):
        return wrong("the command does not run evaluate.py.")
    if not str(answer.code or "").rstrip("/").endswith("evaluation"):
        return wrong("evaluate.py lies in the folder `evaluation`: `code` is that folder.")
    sent: Any = answer.component
    names = {option: _filled_in(str(answer.command), option, kind) for option, kind in OPTIONS.items()}
    for option, kind in OPTIONS.items():
        if names[option] is None:
            return wrong(f"what follows --{option} should be filled in where it runs: `${{{{{kind}.…}}}}`.")
        if names[option] not in getattr(sent, kind):
            return wrong(f"the command asks for {kind}.{names[option]}, but there is none of that name.")
    for option, asset in ASSETS.items():
        if sent.inputs[names[option]].type not in FOLDERS:
            return wrong(f"{names[option]} comes in as a text, not as a folder. Which type has `Input` for a folder?")
        if not str(sent.inputs[names[option]].path).endswith(asset):
            return wrong(f"the path of {names[option]} should be that of azureml:{asset}.")
    if float(sent.inputs[names["least"]].default or 0) != LEAST:
        return wrong(f"{names['least']} should be the number {LEAST}.")
    if not answer.environment or not answer.compute:
        return wrong("a job needs an environment, and a compute to run on.")
    if answer.limits is None or answer.limits.timeout != MINUTES * 60:
        return wrong(f"what ends it, should it hang? `timeout` is in seconds; {MINUTES} minutes were asked for.")
    return right("the job can be sent again with another model or number, and its command stays as it is.")


def _filled_in(command: str, option: str, kind: str) -> str | None:
    """Return the name of the input or output with which an option is filled in; None where it is not."""
    found = re.search(rf"--{option}[\s=]+[\"']?\$\{{\{{\s*{kind}\.(\w+)\s*\}}\}}", command)
    return found[1] if found else None


EPOCHS = 5
ENOUGH_RIGHT = 0.95
METRIC = "validation_accuracy"


@exercise(
    "train_on_gpu_cluster/half_the_epochs",
    "Send `training_job(epochs=5, learning_rate=...)`, wait for its end, and fetch its metrics.",
)
def half_the_epochs(answer: Any) -> CheckResult:
    """Accept the metrics of a job of at most five epochs, in one of which 95 % are right."""
    if METRIC not in getattr(answer, "columns", ()):
        return wrong(f"the table that `helpers.metrics` returns is wanted, with a column {METRIC}.")
    shares = answer[METRIC].dropna()
    if len(shares) > EPOCHS:
        return wrong(f"that are {len(shares)} epochs; {EPOCHS} are allowed.")
    if shares.empty:
        return wrong("no epoch has been reported yet. Did you wait for the end of the job?")
    if shares.max() < 0.5:
        return wrong("it has hardly learned anything. Was the learning rate far too large, or far too small?")
    if shares.max() < ENOUGH_RIGHT:
        return wrong(
            f"the best epoch had {shares.max():.0%}; {ENOUGH_RIGHT:.0%} were asked for. With a larger learning rate "
            "each step goes farther; with one that is too large it overshoots."
        )
    return right(f"{shares.max():.0%} in {len(shares)} epochs, for half the price.")


# Accuracies so far, patience, whether to stop, and what a function that errs has overlooked.
CASES: tuple[tuple[list[float], int, bool, str], ...] = (
    ([], 2, False, "before the first epoch there is nothing to judge"),
    ([0.5], 2, False, "one epoch is too few to say anything"),
    ([0.5, 0.4], 2, False, "only one epoch has failed to be better, and `patience` is 2"),
    ([0.9, 0.8, 0.85], 2, True, "0.85 is better than the epoch before it, but not than the best"),
    ([0.5, 0.6, 0.7], 2, False, "it gets better with each epoch"),
    ([0.9, 0.8, 0.91], 2, False, "the last epoch is the best so far"),
    ([0.9, 0.91, 0.8], 2, False, "one of the last two epochs was better than all before"),
    ([0.9, 0.9, 0.9], 2, True, "as good as the best is not better"),
    ([0.5, 0.9, 0.6, 0.7, 0.8], 3, True, "the last three are all below 0.9"),
    ([0.5, 0.9, 0.6, 0.7, 0.8], 4, False, "0.9 is among the last four, and was better than what came before"),
    ([0.9, 0.8], 1, True, "with a patience of 1, one epoch is enough"),
)


@exercise("train_on_gpu_cluster/stop_early", "Write a function of a list and a number that returns True or False.")
def stop_early(answer: Any) -> CheckResult:
    """Accept a function that stops when none of the last epochs is better than the best before them."""
    if not callable(answer):
        return wrong(f"a function is wanted, this is of type {type(answer).__name__}.")
    for accuracies, patience, expected, overlooked in CASES:
        if bool(answer(list(accuracies), patience)) != expected:
            said = "goes on" if expected else "stops"
            return wrong(f"after {accuracies}, with a patience of {patience}, yours {said}: {overlooked}.")
    return right("it waits as long as there is hope, and no longer.")
