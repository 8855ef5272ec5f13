"""What programs that share the processors are given: OpenMP's and OpenBLAS's variables, of their documentation.

https://gcc.gnu.org/onlinedocs/libgomp/OMP_005fWAIT_005fPOLICY.html
"""

from __future__ import annotations

import pytest

from azureml_local.engines.process import SHARING, THREADS, base_environment


@pytest.fixture
def _none_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*SHARING, *THREADS):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("_none_set")
def test_threads_that_wait_sleep_and_their_number_is_not_limited() -> None:
    environment = base_environment()
    assert environment["OMP_WAIT_POLICY"] == "passive"
    assert not set(THREADS) & set(environment)


@pytest.mark.usefixtures("_none_set")
def test_the_operators_word_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"OMP_WAIT_POLICY": "active", "OPENBLAS_NUM_THREADS": "3"}.items():
        monkeypatch.setenv(name, value)
        assert base_environment()[name] == value
