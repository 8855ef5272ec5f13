"""azureml_local.edge.faults: which requests are hit is decided by the seed alone, and wrong settings are named."""

from __future__ import annotations

from typing import Any

import pytest

from azureml_local.edge.faults import Fault, FaultInjector


def hits(injector: FaultInjector, requests: int, path: str = "/score", method: str = "POST") -> list[bool]:
    scope = {"headers": [(b"host", b"ep.eastus.inference.ml.azure.com:443")], "path": path, "method": method}
    return [injector._choose(scope) is not None for _ in range(requests)]


def test_same_seed_same_requests_another_seed_others() -> None:
    chosen = []
    for seed in (7, 7, 8):
        injector = FaultInjector()
        injector.add(Fault(status=429, rate=0.3, seed=seed))
        chosen.append(hits(injector, 200))
    assert chosen[0] == chosen[1] != chosen[2]
    assert 30 < sum(chosen[0]) < 90


def test_requests_that_do_not_match_change_nothing() -> None:
    injector = FaultInjector()
    injector.add(Fault(host="*.INFERENCE.ml.azure.com", path="/Score", method="post", status=503, rate=0.5, seed=1))
    expected = FaultInjector()
    expected.add(Fault(status=503, rate=0.5, seed=1))
    found = []
    for _ in range(50):
        assert hits(injector, 1, path="/swagger.json") == [False]
        assert hits(injector, 1, method="GET") == [False]
        found += hits(injector, 1)
    assert found == hits(expected, 50)


def test_count_ends_a_fault_and_the_next_one_takes_over() -> None:
    injector = FaultInjector()
    injector.add(Fault(status=500, count=2))
    injector.add(Fault(latency=0.1, count=1))
    assert hits(injector, 5) == [True, True, True, False, False]
    assert [fault["injected"] for fault in injector.list()] == [2, 1]
    assert injector.remove("1")
    assert not injector.remove("1")
    injector.clear()
    assert injector.list() == []


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"status": 200}, "status is 200"),
        ({"status": "429"}, "status is '429'"),
        ({"status": True}, "status is True"),
        ({"latency": -1}, "latency is -1"),
        ({"latency": float("nan")}, "latency is nan"),
        ({"reset": "after"}, "reset is 'after'; it must be before or during"),
        ({"status": 429, "rate": 0}, "rate is 0"),
        ({"status": 429, "rate": 1.5}, "rate is 1.5"),
        ({"status": 429, "count": 0}, "count is 0"),
        ({"status": 429, "seed": 0.5}, "seed is 0.5"),
        ({"status": 429, "retry_after": -1}, "retry_after is -1"),
        ({"status": 429, "host": 3}, "host is 3"),
        ({}, "needs a status, a latency or a reset"),
        ({"status": 429, "reset": "before"}, "not both"),
    ],
    ids=str,
)
def test_wrong_settings_are_named(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Fault(**wrong)
