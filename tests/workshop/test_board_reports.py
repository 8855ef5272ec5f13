"""Reports come from programs that learners can change: what is not right is refused, and named."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from workshop.board import reports
from workshop.board.allowance import Allowance
from workshop.board.reports import Cell, Refused, Report, ReportError
from workshop.streams import Reader

NOW = datetime(2026, 3, 2, 10, 30, tzinfo=UTC)
AT = "2026-03-02T10:12:00Z"
RIGHT: dict[str, Any] = {
    "notebook": "workbook/notebooks/02_realtime/01_deploy_with_keys.ipynb",
    "done": [["deploy_with_keys", "by_hand"], ["deploy_with_keys", "quiz 1"]],
    "refused": [{"lesson": "deploy_with_keys", "item": "rotate", "tries": 3, "since": AT, "at": AT}],
    "cell": {"state": "failed", "at": AT, "error": "HttpResponseError"},
}


def test_a_right_report() -> None:
    then = datetime(2026, 3, 2, 10, 12, tzinfo=UTC)
    report = reports.parse(json.dumps(RIGHT).encode(), NOW)
    assert report == Report(
        "workbook/notebooks/02_realtime/01_deploy_with_keys.ipynb",
        frozenset({("deploy_with_keys", "by_hand"), ("deploy_with_keys", "quiz 1")}),
        (Refused("deploy_with_keys", "rotate", 3, then, then),),
        Cell("failed", then, "HttpResponseError"),
    )
    assert reports.to_document(report) == RIGHT
    assert reports.parse(b"{}", NOW) == Report()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"notebook": 7}, "notebook is 7: text of at most 200 characters is right"),
        ({"notebook": "x" * 201}, "notebook is 'xxx"),
        ({"notebook": "a\x1b[2Jb"}, "notebook is"),
        ({"done": {"a": 1}}, "done is {'a': 1}: a list of at most 1000 is right"),
        ({"done": [["a", "b"]] * 1001}, "a list of at most 1000 is right"),
        ({"done": [["a"]]}, "a pair of a lesson and an item is right"),
        ({"done": [["a", {"b": 1}]]}, "done is {'b': 1}"),
        ({"refused": ["x"]}, "refused is 'x': an object is right"),
        ({"refused": [{**RIGHT["refused"][0], "tries": 10**30}]}, "refused.tries is 1000"),
        ({"refused": [{**RIGHT["refused"][0], "tries": True}]}, "refused.tries is True"),
        ({"refused": [{**RIGHT["refused"][0], "since": "yesterday"}]}, "refused.since is 'yesterday': a time such as"),
        ({"refused": [{**RIGHT["refused"][0], "at": "2026-13-02T10:12:00Z"}]}, "refused.at is '2026-13-02T10:12:00Z'"),
        ({"cell": {"state": "asleep", "at": AT}}, "cell.state is 'asleep': one of running, done, failed is right"),
        ({"cell": {"state": "done"}}, "cell.at is None"),
        ({"cell": []}, "cell is []"),
    ],
)
def test_what_is_not_right_is_named(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ReportError) as raised:
        reports.from_document(RIGHT | change, NOW)
    assert words in str(raised.value)
    assert len(str(raised.value)) < 200  # however long what was sent


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"[]", b'"x"', b"NaN" * 3, b"[" * 60_000, b"x" * (reports.LARGEST + 1), b"1" * 5000]
)
def test_what_is_no_report(body: bytes) -> None:
    with pytest.raises(ReportError):
        reports.parse(body, NOW)


def test_nobody_is_ahead_of_time() -> None:
    later = reports.written(NOW + timedelta(days=300))
    report = reports.from_document({"cell": {"state": "failed", "at": later}}, NOW)
    assert report.cell == Cell("failed", NOW)


def test_calls_are_limited_for_each_learner_and_come_back_with_time() -> None:
    time = 100.0
    allowance = Allowance(lambda: time, burst=2, a_second=0.5)
    assert [allowance.take("ada"), allowance.take("ada")] == [0, 0]
    assert allowance.take("ada") == pytest.approx(2)
    assert allowance.take("grace") == 0  # another's are her own
    time += 1.9
    assert allowance.take("ada") == pytest.approx(0.1)
    time += 0.2
    assert allowance.take("ada") == 0
    time += 1000
    assert [allowance.take("ada") > 0 for _ in range(3)] == [False, False, True]


def test_events_are_read_from_any_pieces() -> None:
    stream = b'id: 7\nevent: note\ndata: {"text": "a\\n\\u00e4"}\n\n: still here\n\nid: 8\nevent: asked\ndata: {}\n\n'
    for size in (1, 7, len(stream)):
        reader = Reader()
        pieces = [stream[start : start + size] for start in range(0, len(stream), size)]
        events = [event for piece in pieces for event in reader.read(piece)]
        assert events == [("7", "note", {"text": "a\nä"}), ("8", "asked", {})]


def test_a_stream_without_end_is_given_up() -> None:
    with pytest.raises(ValueError, match="more than"):
        list(Reader().read(b"x" * (2**20 + 1)))
