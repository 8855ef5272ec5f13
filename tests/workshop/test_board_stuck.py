"""Who is stuck: each rule holds when it should, says why, and no longer when the learner is on."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workshop.board.reports import Cell, Refused, Report
from workshop.board.stuck import FULL, LONG, QUIET, RULES, TRIES, Asked, Situation, reasons

NOW = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)


def ago(minutes: float) -> datetime:
    return NOW - timedelta(minutes=minutes)


def tried(times: int, last: float = 1, lesson: str = "deploy_with_keys") -> Refused:
    return Refused(lesson, "rotate", times, ago(18), ago(last))


def said(report: Report = Report(), **fields: Any) -> list[tuple[str, str]]:  # noqa: B008 - it is frozen
    return [(reason.rule, reason.text) for reason in reasons(Situation(report, "deploy_with_keys", **fields), NOW)]


def test_who_does_nothing_yet_needs_nobody() -> None:
    assert said() == []


def test_refused_tries_are_counted_from_the_first() -> None:
    (reason,) = reasons(Situation(Report(refused=(tried(TRIES),)), "deploy_with_keys"), NOW)
    assert (reason.rule, reason.text, reason.since) == ("refused", "3 refused tries of rotate", ago(18))


@pytest.mark.parametrize(
    ("report", "fields"),
    [
        (Report(refused=(tried(TRIES - 1),)), {}),
        (Report(refused=(tried(5),), done=frozenset({("deploy_with_keys", "rotate")})), {}),
        (Report(refused=(tried(5, last=4),)), {"advanced": ago(3)}),
        (Report(refused=(tried(5, lesson="first_model"),)), {}),
    ],
    ids=["too few", "done since", "something else was done since", "of another lesson"],
)
def test_refused_tries_that_mean_nothing(report: Report, fields: dict[str, Any]) -> None:
    assert said(report, **fields) == []


def test_what_was_done_before_the_last_refused_try_does_not_count() -> None:
    assert said(Report(refused=(tried(3, last=2),)), advanced=ago(3)) == [("refused", "3 refused tries of rotate")]


def test_a_cell_that_failed_and_nothing_since() -> None:
    failed = Cell("failed", ago(12), "HttpResponseError")
    assert said(Report(cell=failed)) == [
        ("quiet", "nothing for 12 minutes after a cell that failed (HttpResponseError)")
    ]
    assert said(Report(cell=Cell("failed", NOW - QUIET + timedelta(seconds=1)))) == []
    assert said(Report(cell=Cell("done", ago(12)))) == []  # they read, or talk
    assert said(Report(cell=failed), running=False) == []  # they have gone


def test_one_cell_that_runs_long() -> None:
    assert said(Report(cell=Cell("running", ago(14)))) == [("long", "one cell has been running for 14 minutes")]
    assert said(Report(cell=Cell("running", NOW - LONG + timedelta(seconds=1)))) == []


def test_a_full_disk() -> None:
    assert said(disk=97.4) == [("disk", "disk 97 % full")]
    assert said(disk=FULL - 1.0) == []


def test_who_asks_comes_first_and_is_quoted() -> None:
    report = Report(refused=(tried(4),), cell=Cell("failed", ago(12)))
    rules = said(report, asked=Asked("What is a key?", ago(2)), disk=99.0)
    assert [rule for rule, _ in rules] == ["asked", "refused", "disk", "quiet"]
    assert rules[0][1] == "asked for you: What is a key?"
    assert said(asked=Asked("", ago(2))) == [("asked", "asked for you")]


def test_every_rule_is_known_by_its_words() -> None:
    """What the board explains is each rule's own docstring."""
    assert all(rule.__doc__ for rule in RULES)
