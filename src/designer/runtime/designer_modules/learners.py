"""The learners: the Designer's parameters, and the scikit-learn estimator that each means.

A learner is a function that takes the Designer's parameters and returns an estimator. ``@learner`` makes the component
of it, which takes ``create_trainer_mode`` and the ranges of what can be tuned, too, and returns an untrained model.
Defaults and ranges are the Designer's. What it has and scikit-learn has not: the memory of L-BFGS, the random splits
of a forest's node, the diameter of a network's first weights. Linear models and networks see their features scaled
to 0 to 1, as in the Designer.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from . import registry
from .errors import ModuleError
from .models import MULTICLASS, TWO_CLASS, UntrainedModel

SINGLE, RANGE = "Single Parameter", "Parameter Range"
RANGE_FOR = "range_for_"

Build = Callable[..., Any]
Component = Callable[..., UntrainedModel]


@dataclass(frozen=True)
class Learner:
    """What trains a model: for which task, and how parameters become scikit-learn's estimator."""

    task: str
    build: Build


LEARNERS: dict[str, Learner] = {}


def learner(task: str, **ranges: str) -> Callable[[Build], Component]:
    """Make a component of a function that builds an estimator.

    Args:
        task: what it learns.
        ranges: values to try of parameters, as the Designer writes them: ``"0.1; 0.2"``.
    """

    def decorate(build: Build) -> Component:
        own = inspect.signature(build).parameters
        LEARNERS[build.__name__] = Learner(task, build)

        def component(create_trainer_mode: str = SINGLE, **given: Any) -> UntrainedModel:
            defaults = {name: one.default for name, one in own.items()}
            chosen = {name: value for name, value in given.items() if name in own}
            if create_trainer_mode == RANGE:
                chosen = {name: value for name, value in chosen.items() if name not in ranges}
            texts = {name: given.get(RANGE_FOR + name, text) for name, text in ranges.items()}
            if create_trainer_mode == SINGLE:
                texts = ranges
            types = registry.inputs_of(build)
            tried = {name: _values(name, text, types[name].type) for name, text in texts.items()}
            return UntrainedModel(build.__name__, defaults | chosen, tried)

        _describe(component, build, ranges)
        return component

    return decorate


def _describe(component: Any, build: Build, ranges: Mapping[str, str]) -> None:
    """Give a component the name and the parameters that the registry, and a reader, see."""
    keyword = inspect.Parameter.KEYWORD_ONLY
    mode = inspect.Parameter("create_trainer_mode", keyword, default=SINGLE, annotation="str")
    own = [one.replace(kind=keyword) for one in inspect.signature(build).parameters.values()]
    swept = [
        inspect.Parameter(RANGE_FOR + name, keyword, default=text, annotation="str") for name, text in ranges.items()
    ]
    parameters = [mode, *own, *swept]
    component.__name__, component.__qualname__, component.__doc__ = build.__name__, build.__qualname__, build.__doc__
    component.__signature__ = inspect.Signature(parameters, return_annotation="UntrainedModel")
    component.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": "UntrainedModel"}


def _values(name: str, text: str, wanted: type) -> list[Any]:
    values = [registry.literal(part.strip(), wanted) for part in text.split(";") if part.strip()]
    if not values:
        raise ModuleError(3, f"The range of {name} is empty; write values with ; between them, such as '0.1; 0.2'.")
    return values


def _scaled(estimator: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    return make_pipeline(MinMaxScaler(), estimator)


def _logistic_regression(tolerance: float, l1: float, l2: float, seed: int | None) -> Any:
    from sklearn.linear_model import LogisticRegression

    weight = l1 + l2
    return _scaled(
        LogisticRegression(
            C=1 / weight if weight else float("inf"),
            l1_ratio=l1 / weight if weight else 0.0,
            solver="saga" if l1 else "lbfgs",  # L-BFGS knows L2 only
            tol=tolerance,
            max_iter=1000,
            random_state=seed,
        )
    )


LOGISTIC_RANGES = {
    "optimization_tolerance": "0.00001; 0.00000001",
    "l2_regularization_weight": "0.01; 0.1; 1.0",
}


@learner(TWO_CLASS, **LOGISTIC_RANGES)
def two_class_logistic_regression(
    optimization_tolerance: float = 1e-7,
    l1_regularization_weight: float = 0.0,
    l2_regularization_weight: float = 1.0,
    random_number_seed: int | None = None,
) -> Any:
    """Logistic regression for a label with two values."""
    return _logistic_regression(
        optimization_tolerance, l1_regularization_weight, l2_regularization_weight, random_number_seed
    )


@learner(MULTICLASS, **LOGISTIC_RANGES)
def multiclass_logistic_regression(
    optimization_tolerance: float = 1e-7,
    l1_regularization_weight: float = 0.0,
    l2_regularization_weight: float = 1.0,
    random_number_seed: int | None = None,
) -> Any:
    """Logistic regression for a label with several values."""
    return _logistic_regression(
        optimization_tolerance, l1_regularization_weight, l2_regularization_weight, random_number_seed
    )
