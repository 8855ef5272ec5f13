"""What the capstone's acceptance makes of triggers, lists and prices; the rest is tried on the service."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from azure.ai.ml.entities import CronTrigger, RecurrencePattern, RecurrenceTrigger
from azure.core.exceptions import HttpResponseError, ResourceNotFoundError

import helpers
from helpers.acceptance import nights
from helpers.acceptance.card import Card, Row
from helpers.acceptance.facts import Cluster

NIGHTS: dict[str, tuple[Any, tuple[int, ...], bool]] = {
    "each night": (CronTrigger(expression="0 2 * * *"), (2,), True),
    "twice": (CronTrigger(expression="30 2,14 * * *"), (2, 14), True),
    "on Mondays": (CronTrigger(expression="0 2 * * 1"), (2,), False),
    "on the first": (CronTrigger(expression="0 2 1 * *"), (2,), False),
    "each minute of an hour": (CronTrigger(expression="* 2 * * *"), (2,), False),
    "each hour": (CronTrigger(expression="0 * * * *"), tuple(range(24)), True),
    "each day": (
        RecurrenceTrigger(frequency="day", interval=1, schedule=RecurrencePattern(hours=2, minutes=0)),
        (2,),
        True,
    ),
    "twice a day": (
        RecurrenceTrigger(frequency="day", interval=1, schedule=RecurrencePattern(hours=[2, 3], minutes=[0])),
        (2, 3),
        True,
    ),
    "each second day": (
        RecurrenceTrigger(frequency="day", interval=2, schedule=RecurrencePattern(hours=2, minutes=0)),
        (2,),
        False,
    ),
    "weekdays": (
        RecurrenceTrigger(
            frequency="week",
            interval=1,
            schedule=RecurrencePattern(hours=2, minutes=0, week_days=["monday", "tuesday"]),
        ),
        (2,),
        False,
    ),
    "the whole week": (
        RecurrenceTrigger(
            frequency="week",
            interval=1,
            schedule=RecurrencePattern(
                hours=2,
                minutes=0,
                week_days=["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
            ),
        ),
        (2,),
        True,
    ),
    "at no hour": (RecurrenceTrigger(frequency="day", interval=1), (), True),
}


@pytest.mark.parametrize("what", NIGHTS)
def test_the_clock_of_a_trigger(what: str) -> None:
    trigger, hours, is_daily = NIGHTS[what]
    clock = nights.clock(trigger, True)
    assert (clock.hours, clock.is_daily, clock.zone) == (hours, is_daily, "UTC")


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("case,benign\na,0.5\nb,1\n", 2),
        ("a,0.5\nb,1\n", 2),
        ("case,benign\n", 0),
        ("", 0),
        ("\n\na,0.5\n", 1),
    ],
)
def test_a_header_is_no_case(text: str, count: int, tmp_path: Path) -> None:
    file = tmp_path / "list.csv"
    file.write_text(text)
    assert nights.cases_in(file) == count


def test_what_a_month_costs() -> None:
    """By the prices of vm_sizes.csv: 0.146 and 0.293 USD an hour."""
    assert helpers.usd_a_month("standard_ds2_V2") == pytest.approx(720 * 0.146)
    assert helpers.usd_a_month("Standard_DS3_v2", hours_a_day=0.5, machines=3) == pytest.approx(30 * 0.5 * 3 * 0.293)
    for size in ("Standard_NC6s_v2", "DS2_v2", ""):  # retired, and unknown
        with pytest.raises(LookupError, match="no size with a price"):
            helpers.usd_a_month(size)


def test_a_cluster_is_paid_while_a_node_is_there() -> None:
    once = Cluster("c", "Standard_DS2_v2", idle_seconds=300)
    assert once.usd == pytest.approx(30 * 0.5 * 0.146)
    assert Cluster("c", "Standard_DS2_v2", least=2).usd == pytest.approx(2 * 720 * 0.146)
    assert Cluster("c", "Standard_DS2_v2", tier="low_priority", idle_seconds=300).usd == pytest.approx(0.2 * once.usd)
    assert Cluster("c", "Standard_DS2_v2", idle_seconds=10**6).usd == pytest.approx(720 * 0.146)


def test_the_card_shows_words_not_markup() -> None:
    card = Card([Row("a <need>", "found & seen", None, False)], {"all": 300.0}, 250.0)
    shown = card._repr_mimebundle_()
    assert shown["text/plain"] == "✗ a <need>: found & seen\n✗ the budget: 250 USD a month 300.00"
    assert "a &lt;need&gt;" in shown["text/html"] and "found &amp; seen" in shown["text/html"]


class _Operations:
    """Stands for operations of an MLClient that know one name."""

    def __init__(self, *calls: str) -> None:
        self.log: list[str] = []
        for call in calls:
            setattr(self, call, lambda *args, call=call, **named: self._noted(call, *args, *named.values()))

    def get(self, name: str) -> None:
        if name != "there":
            raise ResourceNotFoundError("(ResourceNotFound) it is not there")

    def _noted(self, call: str, name: str) -> SimpleNamespace:
        self.log.append(f"{call} {name}")
        return SimpleNamespace(result=lambda: None)


def test_only_what_is_there_is_deleted(capsys: pytest.CaptureFixture[str]) -> None:
    schedules = _Operations("begin_disable", "begin_delete")
    helpers.delete_if_there(schedules, "there", "gone")
    assert schedules.log == ["begin_disable there", "begin_delete there"]
    computes = _Operations("begin_delete")
    helpers.delete_if_there(computes, "gone", "there")
    assert computes.log == ["begin_delete there"]
    assert capsys.readouterr().out == ""


def test_what_cannot_be_deleted_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    computes = _Operations("begin_delete")

    def refuse(call: str, name: str) -> None:
        raise HttpResponseError("(Conflict) it is in use")

    monkeypatch.setattr(computes, "_noted", refuse)
    with pytest.raises(HttpResponseError, match="in use"):
        helpers.delete_if_there(computes, "there")
