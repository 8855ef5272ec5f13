"""The learners: the Designer's parameters, and the scikit-learn estimator that each means.

A family is a function from the Designer's parameters to an estimator; a learner is a family for a task, with one of
scikit-learn's classes. Its component returns it untrained, with its parameters and the ranges that Tune Model
Hyperparameters tries. Defaults and ranges are the Designer's, which trains boosted trees by LightGBM and the others by
scikit-learn, too. What it has and scikit-learn has not: the memory of L-BFGS, the random splits of a forest's node, the
diameter of a network's first weights, the label modes of K-means. As in the Designer, linear models, networks and
K-means see their features scaled to 0 to 1.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import registry
from .errors import ModuleError
from .models import CLUSTERING, MULTICLASS, REGRESSION, TWO_CLASS, UntrainedModel
from .values import chosen

SINGLE, RANGE = "Single Parameter", "Parameter Range"
RANGE_FOR = "range_for_"

Family = Callable[..., Any]
Component = Callable[..., UntrainedModel]


@dataclass(frozen=True)
class Learner:
    """What trains a model.

    Args:
        name: its component's.
        task: what it learns.
        family: makes an estimator of scikit-learn's class and the Designer's parameters.
        estimator: the class, below ``sklearn``.
        ranges: values to try of parameters, as the Designer writes them: ``"0.1; 0.2"``.
    """

    name: str
    task: str
    family: Family
    estimator: str
    ranges: Mapping[str, str]

    def build(self, parameters: Mapping[str, Any]) -> Any:
        """Return scikit-learn's estimator for the Designer's parameters."""
        module, _, name = self.estimator.rpartition(".")
        return self.family(getattr(importlib.import_module(f"sklearn.{module}"), name), **parameters)

    @property
    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """The Designer's parameters."""
        _, *own = inspect.signature(self.family).parameters.values()
        return {one.name: one for one in own}

    def untrained(self, create_trainer_mode: str = SINGLE, **given: Any) -> UntrainedModel:
        """Return it with parameters and ranges; of those that have a range, only the one or the other counts.

        https://learn.microsoft.com/azure/machine-learning/component-reference/two-class-logistic-regression
        """
        in_ranges = chosen("create_trainer_mode", create_trainer_mode, {SINGLE: False, RANGE: True})
        defaults = {name: one.default for name, one in self.parameters.items()}
        own = {name: given[name] for name in given.keys() & defaults.keys() if not (in_ranges and name in self.ranges)}
        texts = {name: given.get(RANGE_FOR + name, text) if in_ranges else text for name, text in self.ranges.items()}
        types = registry.inputs_of(self.family)
        ranges = {name: _values(name, text, types[name].type) for name, text in texts.items()}
        return UntrainedModel(self.name, defaults | own, ranges)

    def component(self) -> Component:
        """Return the function of its component, with the parameters that the registry, and a reader, see."""

        def component(**given: Any) -> UntrainedModel:
            return self.untrained(**given)

        mode = {"create_trainer_mode": SINGLE} if self.ranges else {}
        texts = mode | {RANGE_FOR + name: text for name, text in self.ranges.items()}
        added = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=text, annotation="str")
            for name, text in texts.items()
        ]
        own = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in self.parameters.values()]
        parameters = [*added[: len(mode)], *own, *added[len(mode) :]]
        component.__name__ = component.__qualname__ = self.name
        component.__doc__ = self.family.__doc__
        component.__annotations__ = {one.name: one.annotation for one in parameters} | {"return": "UntrainedModel"}
        component.__signature__ = inspect.Signature(parameters, return_annotation="UntrainedModel")  # type: ignore[attr-defined]
        return component


def _values(name: str, text: str, wanted: type) -> list[Any]:
    values = [registry.literal(part.strip(), wanted) for part in text.split(";") if part.strip()]
    if not values:
        raise ModuleError(3, f"The range of {name} is empty; write values with ; between them, such as '0.1; 0.2'.")
    return values


def _scaled(estimator: Any) -> Any:
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler

    return make_pipeline(MinMaxScaler(), estimator)


def _logistic_regression(
    estimator: Any,
    optimization_tolerance: float = 1e-7,
    l1_regularization_weight: float = 0.0,
    l2_regularization_weight: float = 1.0,
    random_number_seed: int | None = None,
) -> Any:
    """Logistic regression: L2 by L-BFGS; with L1, which that does not know, by SAGA."""
    weight = l1_regularization_weight + l2_regularization_weight
    return _scaled(
        estimator(
            C=1 / weight if weight else np.inf,
            l1_ratio=l1_regularization_weight / weight if weight else 0.0,
            solver="saga" if l1_regularization_weight else "lbfgs",
            tol=optimization_tolerance,
            max_iter=1000,
            random_state=random_number_seed,
        )
    )


def _forest(
    estimator: Any,
    resampling_method: str = "Bagging",
    number_of_decision_trees: int = 8,
    maximum_depth_of_the_decision_trees: int = 32,
    minimum_number_of_samples_per_leaf_node: int = 1,
    random_number_seed: int | None = None,
) -> Any:
    """Decision trees that vote; each of a sample of the rows (Bagging), or of all (Replicate)."""
    return estimator(
        n_estimators=number_of_decision_trees,
        max_depth=maximum_depth_of_the_decision_trees,
        min_samples_leaf=minimum_number_of_samples_per_leaf_node,
        bootstrap=chosen("resampling_method", resampling_method, {"Bagging": True, "Replicate": False}),
        random_state=random_number_seed,
    )


def _boosted_trees(
    estimator: Any,
    maximum_number_of_leaves_per_tree: int = 20,
    minimum_number_of_samples_per_leaf_node: int = 10,
    learning_rate: float = 0.2,
    number_of_trees_constructed: int = 100,
    random_number_seed: int | None = None,
) -> Any:
    """Decision trees, each for what those before it got wrong: scikit-learn's own kind of LightGBM."""
    return estimator(
        max_leaf_nodes=maximum_number_of_leaves_per_tree,
        min_samples_leaf=minimum_number_of_samples_per_leaf_node,
        learning_rate=learning_rate,
        max_iter=number_of_trees_constructed,
        early_stopping=False,
        random_state=random_number_seed,
    )


def _network(
    estimator: Any,
    number_of_hidden_nodes: int = 100,
    learning_rate: float = 0.1,
    number_of_learning_iterations: int = 100,
    the_momentum: float = 0.0,
    shuffle_examples: bool = True,
    random_number_seed: int | None = None,
) -> Any:
    """A network with one hidden layer, fully connected, by stochastic gradient descent.

    A number that it is to predict is standardized first: steps of the default rate would lead nowhere otherwise.
    """
    from sklearn.base import is_regressor
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.preprocessing import StandardScaler

    network = _scaled(
        estimator(
            hidden_layer_sizes=(number_of_hidden_nodes,),
            solver="sgd",
            learning_rate="adaptive",
            learning_rate_init=learning_rate,
            max_iter=number_of_learning_iterations,
            momentum=the_momentum,
            shuffle=shuffle_examples,
            random_state=random_number_seed,
        )
    )
    return TransformedTargetRegressor(network, transformer=StandardScaler()) if is_regressor(network) else network


def _linear_regression(
    ridge: Any,
    solution_method: str = "Ordinary Least Squares",
    l2_regularization_weight: float = 0.001,
    include_intercept_term: bool = True,
    learning_rate: float = 0.1,
    number_of_training_epochs: int = 10,
    decrease_learning_rate: bool = True,
    normalize_features: bool = True,
    random_number_seed: int | None = None,
) -> Any:
    """A weighted sum of the features: by least squares at once, or step by step by gradient descent."""
    from sklearn.linear_model import SGDRegressor

    by_steps = SGDRegressor(
        alpha=l2_regularization_weight,
        fit_intercept=include_intercept_term,
        learning_rate="invscaling" if decrease_learning_rate else "constant",
        eta0=learning_rate,
        max_iter=number_of_training_epochs,
        tol=None,
        random_state=random_number_seed,
    )
    at_once = ridge(alpha=l2_regularization_weight, fit_intercept=include_intercept_term)
    methods = {"Ordinary Least Squares": at_once, "Online Gradient Descent": by_steps}
    estimator = chosen("solution_method", solution_method, methods)
    return _scaled(estimator) if normalize_features else estimator


def first_rows(matrix: Any, number: int, random_state: Any) -> Any:
    """Return the first rows, as scikit-learn's K-means takes a choice of first centers."""
    return matrix[:number]


INITIALIZATIONS: Mapping[str, Any] = {"K-Means++": "k-means++", "Random": "random", "First N": first_rows}


def _k_means(
    estimator: Any,
    number_of_centroids: int = 2,
    initialization: str = "K-Means++",
    iterations: int = 100,
    normalize_features: bool = True,
    random_number_seed: int | None = None,
) -> Any:
    """Groups of rows, each near its center, by Euclidean distance."""
    clusters = estimator(
        n_clusters=number_of_centroids,
        init=chosen("initialization", initialization, INITIALIZATIONS),
        n_init="auto",
        max_iter=iterations,
        random_state=random_number_seed,
    )
    return _scaled(clusters) if normalize_features else clusters


LEARNERS: dict[str, Learner] = {}


def _component(name: str, task: str, family: Family, estimator: str, ranges: Mapping[str, str]) -> Component:
    LEARNERS[name] = Learner(name, task, family, estimator, ranges)
    return LEARNERS[name].component()


LOGISTIC = {"optimization_tolerance": "0.00001; 0.00000001", "l2_regularization_weight": "0.01; 0.1; 1.0"}
LOGISTIC_REGRESSION = "linear_model.LogisticRegression"
two_class_logistic_regression = _component(
    "two_class_logistic_regression", TWO_CLASS, _logistic_regression, LOGISTIC_REGRESSION, LOGISTIC
)
multiclass_logistic_regression = _component(
    "multiclass_logistic_regression", MULTICLASS, _logistic_regression, LOGISTIC_REGRESSION, LOGISTIC
)

FOREST = {
    "number_of_decision_trees": "1; 8; 32",
    "maximum_depth_of_the_decision_trees": "1; 16; 64",
    "minimum_number_of_samples_per_leaf_node": "1; 4; 16",
}
FORESTS = "ensemble.RandomForestClassifier", "ensemble.RandomForestRegressor"
two_class_decision_forest = _component("two_class_decision_forest", TWO_CLASS, _forest, FORESTS[0], FOREST)
multiclass_decision_forest = _component("multiclass_decision_forest", MULTICLASS, _forest, FORESTS[0], FOREST)
decision_forest_regression = _component("decision_forest_regression", REGRESSION, _forest, FORESTS[1], FOREST)

BOOSTED = {
    "maximum_number_of_leaves_per_tree": "2; 8; 32; 128",
    "minimum_number_of_samples_per_leaf_node": "1; 10; 50",
    "learning_rate": "0.025; 0.05; 0.1; 0.2; 0.4",
    "number_of_trees_constructed": "20; 100; 500",
}
BOOSTERS = "ensemble.HistGradientBoostingClassifier", "ensemble.HistGradientBoostingRegressor"
two_class_boosted_decision_tree = _component(
    "two_class_boosted_decision_tree", TWO_CLASS, _boosted_trees, BOOSTERS[0], BOOSTED
)
multiclass_boosted_decision_tree = _component(
    "multiclass_boosted_decision_tree", MULTICLASS, _boosted_trees, BOOSTERS[0], BOOSTED
)
boosted_decision_tree_regression = _component(
    "boosted_decision_tree_regression", REGRESSION, _boosted_trees, BOOSTERS[1], BOOSTED
)

NETWORK = {"learning_rate": "0.1; 0.2; 0.4", "number_of_learning_iterations": "20; 40; 80; 160"}
NETWORKS = "neural_network.MLPClassifier", "neural_network.MLPRegressor"
two_class_neural_network = _component("two_class_neural_network", TWO_CLASS, _network, NETWORKS[0], NETWORK)
multiclass_neural_network = _component("multiclass_neural_network", MULTICLASS, _network, NETWORKS[0], NETWORK)
neural_network_regression = _component(
    "neural_network_regression", REGRESSION, _network, NETWORKS[1], NETWORK | {"learning_rate": "0.01; 0.02; 0.04"}
)

LINEAR = {
    "learning_rate": "0.025; 0.05; 0.1; 0.2",
    "number_of_training_epochs": "1; 10; 100",
    "l2_regularization_weight": "0.001; 0.01; 0.1",
}
linear_regression = _component("linear_regression", REGRESSION, _linear_regression, "linear_model.Ridge", LINEAR)
k_means_clustering = _component("k_means_clustering", CLUSTERING, _k_means, "cluster.KMeans", {})
