"""Components as functions: each is found by its name, and called with the values of its ports and parameters.

A function's arguments are the component's ports and parameters, by name; their annotations say what each is. It returns
what the output ports carry, in their order: one value, or a tuple.
"""

from __future__ import annotations

import importlib.util
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from .errors import ModuleError
from .ports import Kept

Function = Callable[..., Any]


@dataclass(frozen=True)
class Input:
    """A port or parameter of a component: its type, and whether it may be left out."""

    type: type
    optional: bool

    def read(self, text: str) -> Any:
        """Return what a step was given as text: what a folder holds; a literal as it is, for ``call`` to read."""
        if self.is_port:
            return Path(text) if self.type is Path else self.type.load(Path(text))  # type: ignore[attr-defined]
        return text

    @property
    def is_port(self) -> bool:
        """Whether it carries what another component made, not a literal."""
        return issubclass(self.type, (Kept, Path))


def literal(value: Any, wanted: type, parameter: str = "") -> Any:
    """Return a literal as the type that a parameter has.

    Raises:
        ModuleError: it is none.
    """
    if isinstance(value, wanted) and not (isinstance(value, bool) and wanted is not bool):
        return value
    try:
        return _READERS[wanted](str(value))
    except (ValueError, KeyError):
        subject = f"{parameter} is {value!r}, which" if parameter else repr(value)
        raise ModuleError(2, f"{subject} is no {_NAMES.get(wanted, wanted.__name__)}.") from None


# A step of @dsl.pipeline may be given 1 and 0: azure-ai-ml writes Booleans as the first kind of number that they fit.
_TRUTHS = {"true": True, "1": True, "false": False, "0": False}
_READERS: dict[type, Callable[[str], Any]] = {
    str: str,
    int: int,
    float: float,
    bool: lambda text: _TRUTHS[text.lower()],
}
_NAMES = {int: "whole number", float: "number", bool: "Boolean (True or False)"}


def find(name: str) -> Function:
    """Return a component's function, e.g. ``"transformations.join_data"``: of a module here, or beside this package.

    Raises:
        ModuleNotFoundError: there is none.
    """
    module, _, function = name.rpartition(".")
    for place in (f"{__package__}.{module}", module):  # a learner's module may be called as one of ours
        if importlib.util.find_spec(place):
            found = getattr(importlib.import_module(place), function, None)
            if found is not None:
                return cast(Function, found)
    raise ModuleNotFoundError(f"There is no function {function!r} in a module {module!r}.")


@cache
def inputs_of(function: Function) -> Mapping[str, Input]:
    """Return the ports and parameters of a component."""
    hints = typing.get_type_hints(function)
    parameters = inspect.signature(function).parameters.values()
    return {one.name: _input(hints[one.name], one.default) for one in parameters}


def _input(hint: Any, default: Any) -> Input:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        hint = next(one for one in typing.get_args(hint) if one is not type(None))
    return Input(hint, default is not inspect.Parameter.empty)


def call(function: Function, values: Mapping[str, Any]) -> tuple[Any, ...]:
    """Call a component with the values of its ports, and its literals; return what its output ports carry."""
    inputs = inputs_of(function)
    arguments = {
        name: value if inputs[name].is_port else literal(value, inputs[name].type, name)
        for name, value in values.items()
    }
    result = function(**arguments)
    return result if isinstance(result, tuple) else (result,)
