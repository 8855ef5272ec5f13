"""Models: a learner with its parameters, and what it has become by training."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from . import skops_files
from .errors import ModuleError
from .features import Features

TWO_CLASS, MULTICLASS, REGRESSION, CLUSTERING = (
    "two-class classification",
    "multiclass classification",
    "regression",
    "clustering",
)
CLASSIFICATION = (TWO_CLASS, MULTICLASS)
INVALID_MODEL = 159  # the Designer's error for a folder that is no model

# What the learners' estimators consist of, beside what skops trusts anyway.
TRUSTED = (
    "designer_modules.learners.first_rows",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
    "sklearn.tree._tree.Tree",
)


@dataclass(frozen=True)
class UntrainedModel:
    """A learner of this package with its parameters, before it has seen data.

    Args:
        learner: its component, e.g. ``two_class_logistic_regression``.
        parameters: the Designer's, by name.
        ranges: what Tune Model Hyperparameters tries of some of them.
    """

    learner: str
    parameters: Mapping[str, Any]
    ranges: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        described = {"learner": self.learner, "parameters": dict(self.parameters), "ranges": dict(self.ranges)}
        _write(folder, "untrained_model.json", described)

    @classmethod
    def load(cls, folder: Path) -> UntrainedModel:
        """Read it from a folder that ``save`` has written."""
        return cls(**_read(folder, "untrained_model.json", cls))


@dataclass(frozen=True)
class TrainedModel:
    """What a learner has become by training.

    Args:
        learner: its component.
        parameters: the Designer's, by name.
        task: ``two-class classification``, ``multiclass classification``, ``regression`` or ``clustering``.
        features: the columns that it needs.
        estimator: scikit-learn's, fitted to the matrix of the features; classes are numbered in their order.
        label: the column that it predicts; none for clusters.
        classes: the values that the label may have, in order; the second of two is the positive one.
    """

    learner: str
    parameters: Mapping[str, Any]
    task: str
    features: Features
    estimator: Any
    label: str | None = None
    classes: tuple[Any, ...] = ()

    @cached_property
    def _labels(self) -> Any:
        return pd.Series(list(self.classes)).array

    def labels(self, numbers: np.ndarray) -> Any:
        """Return the classes' values for their numbers."""
        return self._labels.take(numbers)

    def save(self, folder: Path) -> None:
        """Write it into a folder."""
        described = {
            "learner": self.learner,
            "parameters": dict(self.parameters),
            "task": self.task,
            "label": self.label,
            "classes": list(self.classes),
            "features": self.features.as_json(),
        }
        _write(folder, "model.json", described)
        skops_files.save(self.estimator, folder / "model.skops")

    @classmethod
    def load(cls, folder: Path) -> TrainedModel:
        """Read it from a folder that ``save`` has written.

        Raises:
            ModuleError: the folder holds no such model, or types that our learners do not put there.
        """
        described = _read(folder, "model.json", cls)
        features, classes = Features.from_json(described.pop("features")), tuple(described.pop("classes"))
        estimator = skops_files.load(folder / "model.skops", TRUSTED)
        return cls(**described, features=features, classes=classes, estimator=estimator)


def in_order(values: Iterable[Any]) -> list[Any]:
    """Return the classes that values are of, in order."""
    return sorted(set(values), key=lambda value: (str(type(value)), value))


def numbers_of(values: Iterable[Any], classes: Iterable[Any]) -> np.ndarray:
    """Return the number of each value among the classes; -1 for what is none of them."""
    numbers = {value: number for number, value in enumerate(classes)}
    return np.array([numbers.get(value, -1) for value in values], dtype=int)


def _write(folder: Path, name: str, described: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(json.dumps(described, indent=1), encoding="utf-8")


def _read(folder: Path, name: str, kind: type) -> dict[str, Any]:
    """Return what a file says of a model: all but its estimator."""
    try:
        described = json.loads((folder / name).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        described = {}
    if not isinstance(described, dict) or described.keys() != {one.name for one in fields(kind)} - {"estimator"}:
        raise ModuleError(INVALID_MODEL, f"The folder holds no {name} that a component has written.")
    return described
