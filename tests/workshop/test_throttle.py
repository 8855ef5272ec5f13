"""How often a name may be tried with a wrong PIN."""

from __future__ import annotations

import pytest

from workshop.throttle import Throttle


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Throttle:
    return Throttle(at_once=3, every=20.0, clock=clock, keys=4)


def test_some_tries_are_free_then_one_has_to_wait(throttle: Throttle, clock: Clock) -> None:
    for _ in range(3):
        assert throttle.wait("anna") == 0
        throttle.failed("anna")
    assert throttle.wait("anna") == 20
    clock.now += 20
    assert throttle.wait("anna") == 0
    throttle.failed("anna")
    assert throttle.wait("anna") == 20, "one more try a period, and no more"


def test_one_name_does_not_slow_down_another(throttle: Throttle) -> None:
    for _ in range(10):
        throttle.failed("anna")
    assert throttle.wait("béla") == 0


def test_the_right_pin_gives_all_tries_back(throttle: Throttle) -> None:
    for _ in range(3):
        throttle.failed("anna")
    throttle.succeeded("anna")
    assert throttle.wait("anna") == 0


def test_all_tries_come_back_by_and_by_and_not_more(throttle: Throttle, clock: Clock) -> None:
    for _ in range(3):
        throttle.failed("anna")
    clock.now += 1_000_000
    for _ in range(3):
        assert throttle.wait("anna") == 0
        throttle.failed("anna")
    assert throttle.wait("anna") > 0


def test_names_without_end_do_not_fill_the_memory(throttle: Throttle) -> None:
    for number in range(100):
        throttle.failed(str(number))
    assert len(throttle._full_at) == 4
