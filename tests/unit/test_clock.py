"""How fast the service's clock goes."""

from __future__ import annotations

import pytest

from azureml_local import clock


@pytest.mark.parametrize(("value", "seconds"), [("60", 1), ("1", 60), ("0.5", 120)])
def test_the_variable_divides_durations(monkeypatch: pytest.MonkeyPatch, value: str, seconds: float) -> None:
    monkeypatch.setenv(clock.VARIABLE, value)
    assert clock.real_seconds(60) == seconds
    assert clock.passed(seconds) == 60


def test_an_empty_variable_counts_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """As a shell or a workflow file leaves it where nothing was given."""
    monkeypatch.setenv(clock.VARIABLE, "")
    assert clock.real_seconds(60) == 60


@pytest.mark.parametrize("value", ["fast", "0", "-1", "inf", "nan", " "])
def test_what_is_no_number_above_0_is_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv(clock.VARIABLE, value)
    with pytest.raises(ValueError, match="must be a number above 0"):
        clock.real_seconds(60)
