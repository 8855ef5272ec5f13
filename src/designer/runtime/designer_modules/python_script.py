"""Execute Python Script: runs the function azureml_main of a script on up to two datasets.

https://learn.microsoft.com/azure/machine-learning/component-reference/execute-python-script
"""

from __future__ import annotations

import linecache
import sys
import traceback
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd

from .column_types import known
from .dataset import Dataset
from .errors import ModuleError
from .values import naming_absent_label

FILE, MAIN = "<python_script>", "azureml_main"
EXAMPLE = f"""import pandas as pd


def {MAIN}(dataframe1=None, dataframe2=None):
    return (dataframe1,)"""


def execute_python_script(
    dataset1: Dataset | None = None,
    dataset2: Dataset | None = None,
    script_bundle: Path | None = None,
    python_script: str = EXAMPLE,
) -> tuple[Dataset, Dataset]:
    """Return the one or two tables that a script's ``azureml_main(dataframe1, dataframe2)`` returns.

    Args:
        dataset1: what ``dataframe1`` is; None if nothing is connected.
        dataset2: what ``dataframe2`` is.
        script_bundle: a folder of modules, or of zip files with modules, that the script can import.
        python_script: the script. What it does outside of its functions is done once in a process.

    Raises:
        ModuleError: the script fails, with the line; or returns something else.
    """
    main = _main_of(python_script, script_bundle)
    given = [None if one is None else one.frame.copy() for one in (dataset1, dataset2)]
    with naming_absent_label(dataset1):
        frames = _frames(_guarded(lambda: main(*given), python_script))
    roles = [{} if one is None else one.roles for one in (dataset1, dataset2)]
    first, second = (Dataset(frame, own) for frame, own in zip(frames, roles, strict=True))
    return first, second


@cache
def _main_of(script: str, bundle: Path | None) -> Callable[..., Any]:
    if bundle is not None:
        sys.path[:0] = [str(path) for path in (bundle, *sorted(bundle.rglob("*.zip"))) if str(path) not in sys.path]
    module = ModuleType(f"python_script_{abs(hash(script))}")
    sys.modules[module.__name__] = module  # where dataclasses and pickles look for a class's module
    _guarded(lambda: exec(compile(script, FILE, "exec"), module.__dict__), script)  # noqa: S102 (the user's own)
    if not callable(getattr(module, MAIN, None)):
        raise ModuleError(85, f"The script has no function {MAIN}(dataframe1, dataframe2).")
    return getattr(module, MAIN)  # type: ignore[no-any-return]


def _guarded(run: Callable[[], Any], script: str) -> Any:
    try:
        return run()
    except SyntaxError as error:
        if error.filename != FILE:
            raise _failed(error, script) from error
        raise ModuleError(
            85, f"Line {error.lineno} of the script: {error.msg}: {(error.text or '').strip()}"
        ) from error
    except (Exception, SystemExit) as error:
        raise _failed(error, script) from error


def _failed(error: BaseException, script: str) -> ModuleError:
    """Return what a script's error is to a user: the last of its own lines, and the message."""
    lines = script.splitlines(keepends=True)
    linecache.cache[FILE] = (len(script), None, lines, FILE)  # so that tracebacks show them
    numbers = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == FILE]
    message = "".join(traceback.format_exception_only(error)).strip()
    if not numbers or numbers[-1] is None:
        return ModuleError(85, f"{MAIN} cannot be called with two tables: {message}")
    return ModuleError(85, f"Line {numbers[-1]} of the script: {message}: {lines[numbers[-1] - 1].strip()}")


def _frames(returned: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the two tables that a script has returned; an empty one in the place of what it has not."""
    several = list(returned) if isinstance(returned, (tuple, list)) else [returned]
    if not several or len(several) > 2:
        raise ModuleError(85, f"{MAIN} must return one or two tables; it returned {len(several)}.")
    for one in several:
        if not isinstance(one, pd.DataFrame):
            raise ModuleError(107, f"{MAIN} must return pandas.DataFrame; it returned {type(one).__name__}.")
    first, second = (known(frame.reset_index(drop=True)) for frame in (*several, pd.DataFrame())[:2])
    return first, second
