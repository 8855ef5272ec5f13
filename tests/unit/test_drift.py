"""helpers.drift: measures whose values can be said beforehand.

For a shift by a constant the Wasserstein distance is that constant (Ramdas, Garcia, Cuturi 2015); an index by hand.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from helpers import drift
from helpers.drifting import normalized_wasserstein_distance, population_stability_index

REFERENCE = pd.Series(np.random.default_rng(1).normal(10, 2, 1000))


def test_nothing_has_moved() -> None:
    assert normalized_wasserstein_distance(REFERENCE, REFERENCE.sample(frac=1, random_state=1)) == 0
    assert population_stability_index(REFERENCE, REFERENCE) == 0


@pytest.mark.parametrize("shift", [0.25, 1.0, -3.0])
def test_distance_is_in_standard_deviations(shift: float) -> None:
    moved = REFERENCE + shift * REFERENCE.std()
    assert normalized_wasserstein_distance(REFERENCE, moved) == pytest.approx(abs(shift))


@pytest.mark.parametrize("factor", [1000.0, 0.001])
def test_neither_measure_depends_on_the_unit(factor: float) -> None:
    moved = REFERENCE + 1
    for measure in (normalized_wasserstein_distance, population_stability_index):
        assert measure(REFERENCE * factor, moved * factor) == pytest.approx(measure(REFERENCE, moved))


def test_index_by_hand() -> None:
    """Ten bins of ten values. All of current is in the last: 101 of 110 there, 1 in each other, by the added one."""
    reference, current = pd.Series(range(100)), pd.Series([99] * 100)
    r = 11 / 110
    by_hand = (101 / 110 - r) * np.log(101 / 11) + 9 * (1 / 110 - r) * np.log(1 / 11)
    assert population_stability_index(reference, current) == pytest.approx(by_hand)


def test_two_values_are_no_trouble() -> None:
    values = pd.Series([0.0, 1.0] * 25)
    assert population_stability_index(values, values) == 0
    assert population_stability_index(values, values + 10) > 0.25


def test_a_single_value_is_no_trouble() -> None:
    """Its deviation is 0, and Azure divides by 0.001."""
    values = pd.Series([5.0] * 50)
    assert normalized_wasserstein_distance(values, values + 1) == pytest.approx(1000)
    assert population_stability_index(values, values + 1) == 0  # one bin for everything


def test_table_has_the_farthest_first_and_ignores_other_columns() -> None:
    reference = pd.DataFrame({"still": REFERENCE, "moved": REFERENCE, "a little": REFERENCE})
    current = reference.assign(moved=REFERENCE + 5, correlationid="x", **{"a little": REFERENCE + 0.5})
    table = drift(reference, current)
    assert table.index.tolist() == ["moved", "a little", "still"]
    assert table.columns.tolist() == ["distance", "stability"]
    assert table.loc["still"].tolist() == [0, 0]
