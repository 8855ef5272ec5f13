"""Where a lesson's time went: from cells and waits, which may overlap, be cut off, or be missing."""

from __future__ import annotations

from pathlib import Path

import pytest

import helpers
from course.phases import Kind, Phase, kind_of, seconds_by_kind, split
from helpers import waits
from helpers.waiting import pauses

FOREVER = float("inf")


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("import helpers\nhelpers.connect()", "start"),
        ("from azure.ai.ml import MLClient", "start"),
        ("ml_client = helpers.connect(backend)", "start"),
        ("# why\nx = 1\nimport os", "computing"),
        ("", "computing"),
        ("%matplotlib inline", "computing"),
    ],
)
def test_cell_that_imports_or_connects_belongs_to_the_start(source: str, kind: Kind) -> None:
    assert kind_of(source) == kind


CELLS = [Phase("start", 2, 5), Phase("computing", 5, 9), Phase("computing", 9.5, 12)]


@pytest.mark.parametrize(
    ("cells", "waits", "expected"),
    [
        pytest.param([], [], [("start", 0, 20)], id="the kernel never answered"),
        pytest.param(
            CELLS, [], [("start", 0, 5), ("computing", 5, 12), ("storing", 12, 20)], id="the gap belongs to the cells"
        ),
        pytest.param(
            CELLS,
            [(6, 7), (6.5, 8), (10, 11)],
            [
                ("start", 0, 5),
                ("computing", 5, 6),
                ("waiting", 6, 8),
                ("computing", 8, 10),
                ("waiting", 10, 11),
                ("computing", 11, 12),
                ("storing", 12, 20),
            ],
            id="waits that overlap count once",
        ),
        pytest.param(
            [Phase("computing", 2, FOREVER)],
            [(4, FOREVER)],
            [("start", 0, 2), ("computing", 2, 4), ("waiting", 4, 20)],
            id="its time was up",
        ),
    ],
)
def test_time_is_divided_without_a_gap(
    cells: list[Phase], waits: list[tuple[float, float]], expected: list[tuple[str, float, float]]
) -> None:
    phases = split(0, 20, cells, waits)
    assert [(phase.kind, phase.began, phase.ended) for phase in phases] == expected
    assert sum(seconds_by_kind(phases).values()) == 20


class Operation:
    """A long-running operation that fails."""

    def done(self) -> bool:
        return True

    def wait(self, timeout: float | None = None) -> None: ...

    def result(self, timeout: float | None = None) -> None:
        raise ValueError("it failed")


def test_waits_of_helpers_are_noted_where_a_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "waits"
    helpers.wait_until(lambda: True, "nothing")
    assert waits.read(file) == []
    monkeypatch.setenv(waits.VARIABLE, str(file))
    helpers.wait_until(lambda: True, "nothing")
    helpers.until_permitted(lambda: None, "ask")
    with pytest.raises(ValueError, match="it failed"):
        helpers.wait(Operation(), "fail")
    for _ in pauses():
        break
    noted = waits.read(file)
    assert len(noted) == 4
    assert all(began <= ended < FOREVER for began, ended in noted)


def test_wait_that_was_cut_off_has_no_end(tmp_path: Path) -> None:
    file = tmp_path / "waits"
    file.write_text('["a", 1.0]\n["b", 2.0]\n["b", 3.0]\n["a", 4')
    assert waits.read(file) == [(1.0, FOREVER), (2.0, 3.0)]
