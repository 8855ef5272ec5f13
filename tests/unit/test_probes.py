"""azureml_local.engines.probes: thresholds as Kubernetes counts them, "minimum consecutive" successes and failures.

https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/#configure-probes
"""

import pytest

from azureml_local.engines.probes import Probe, Tally, status_failure


def verdicts(answers: str, **thresholds: int) -> list[bool | None]:
    """Count answers, ``+`` for each that passes."""
    tally = Tally()
    return [tally.count(answer == "+", Probe(**thresholds)) for answer in answers]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ("+", [True]),
        ("--", [None, None]),
        ("---", [None, None, False]),
        ("--+--", [None, None, True, None, None]),
        ("----+", [None, None, False, False, True]),
    ],
)
def test_failures_count_in_a_row(answers: str, expected: list[bool | None]) -> None:
    assert verdicts(answers, failure_threshold=3) == expected


def test_successes_count_in_a_row() -> None:
    assert verdicts("++-+-++", failure_threshold=1, success_threshold=2) == [
        None, True, False, None, False, None, True,
    ]  # fmt: skip


@pytest.mark.parametrize("status", [200, 204, 302, 399])
def test_well(status: int) -> None:
    assert status_failure(status) is None


@pytest.mark.parametrize("status", [199, 400, 404, 500, 502])
def test_not_well(status: int) -> None:
    assert status_failure(status) == f"HTTP probe failed with statuscode: {status}"
