"""How far the data that a model is asked about has moved away from what it has learned from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

BINS = 10


def drift(reference: pd.DataFrame, current: pd.DataFrame) -> pd.DataFrame:
    """Return how far each numeric feature has drifted, the farthest first, by two measures of Azure's model monitoring.

    Args:
        reference: rows that the model has learned from; its columns are the features.
        current: rows of later, with at least those columns. Values that are missing count in neither.

    Returns:
        A row for each feature: ``distance``, see :func:`normalized_wasserstein_distance`, and ``stability``, see
        :func:`population_stability_index`. Of few rows (less than some hundred) both are large by chance alone.

    https://learn.microsoft.com/azure/machine-learning/concept-model-monitoring#monitoring-signals-and-metrics
    """
    import pandas as pd

    measured = {}
    for feature in reference.columns:
        former, later = reference[feature].dropna(), current[feature].dropna()
        measured[feature] = {
            "distance": normalized_wasserstein_distance(former, later),
            "stability": population_stability_index(former, later),
        }
    return pd.DataFrame.from_dict(measured, orient="index").sort_values("distance", ascending=False)


def normalized_wasserstein_distance(reference: pd.Series, current: pd.Series) -> float:
    """Return by how many standard deviations of ``reference`` its values would have to be moved to be ``current``.

    W(reference, current) / max(s, 0.001), where W is the area between the two cumulative distributions and s the
    standard deviation of ``reference``: 0 for the same distribution, 1 for one that is shifted by s. The formula is
    that of Azure's own monitor, which raises an alarm from 0.1 on where nothing else is set
    (``numerical_data_drift_metrics.py`` in https://github.com/Azure/azureml-assets).
    """
    from scipy.stats import wasserstein_distance

    return float(wasserstein_distance(reference, current) / max(reference.std(), 0.001))


def population_stability_index(reference: pd.Series, current: pd.Series) -> float:
    """Return how differently the values fall into the bins that hold a tenth of ``reference`` each.

    The sum of (c - r) ln(c / r) over the bins, where r and c are their shares of ``reference`` and ``current``, with
    one value added to each bin against empty ones. By an old rule of thumb of credit scoring, below 0.1 nothing has
    changed, and from 0.25 on much has (N. Siddiqi, Credit Risk Scorecards, Wiley 2006).
    """
    import numpy as np

    edges = np.unique(np.quantile(reference, np.linspace(0, 1, BINS + 1)[1:-1]))
    r, c = (
        np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1) + 1
        for values in (reference, current)
    )
    r, c = r / r.sum(), c / c.sum()
    return float(((c - r) * np.log(c / r)).sum())
